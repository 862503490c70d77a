"""Files that a request brings, or names by the ids of `/v1/files`, for the model to read."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Final, Protocol

from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    MissingParameterError,
    UnreadableFileError,
)
from llm_api.core.files.files import OwnedFiles
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.state.file_records import FileRecord

MAX_NAMED_BYTES: Final = 64 * 1024 * 1024
"""Of all files that one request names, together."""
_DATA_URL: Final = "data:"


class GivenFile(Protocol):
    """A file as OpenAI's requests have it: `file_data` is base64, or a `data:` URL."""

    @property
    def file_id(self) -> str | None: ...

    @property
    def file_data(self) -> str | None: ...

    @property
    def filename(self) -> str | None: ...


class GivenFiles:
    """The files of one request. `stored` gives those of who asks, where it names one."""

    def __init__(self, loader: FileLoader, stored: Callable[[], OwnedFiles]) -> None:
        self.loader = loader
        self._stored = stored
        self._left = MAX_NAMED_BYTES

    async def read(self, id: str, param: str) -> tuple[FileRecord, bytes]:
        """A file and its bytes. Raises what is wrong with the id, which stands at `param`."""
        try:
            files = self._stored()
            file = await files.get(id)
            data = await files.content(file, self._left)
        except LLMAPIError as error:
            error.param = param
            raise
        self._left -= file.bytes
        return file, data

    async def text(self, given: GivenFile, path: str) -> str:
        """Its text, between tags with its name.

        Raises InvalidRequestError, UnreadableFileError, StoredFileNotFoundError with the path.
        """
        if given.file_id is None:
            if given.file_data is None:
                param = f"{path}.file_data"
                raise MissingParameterError(f"Missing required parameter: '{param}'.", param=param)
            data = _decoded(given.file_data, f"{path}.file_data")
            name, charset = given.filename or "file.txt", ""
        else:
            if given.file_data is not None:
                raise InvalidRequestError(
                    f"'{path}' has both 'file_id' and 'file_data': send one of them.", param=path
                )
            file, data = await self.read(given.file_id, f"{path}.file_id")
            name, charset = given.filename or file.filename, file.charset
        try:
            loaded = await self.loader.load(data, name, charset)
        except UnreadableFileError as error:
            error.param = path
            raise
        return f"<file name={json.dumps(name, ensure_ascii=False)}>\n{loaded.text}\n</file>"


def _decoded(data: str, path: str) -> bytes:
    if data.startswith(_DATA_URL):
        head, _, data = data.partition(",")
        if not head.endswith(";base64"):
            raise InvalidRequestError(f"'{path}' is a data URL without base64.", param=path)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(f"'{path}' is no base64.", param=path) from error
