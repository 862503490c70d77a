"""Files of `/v1/files` that a request names by their ids, to be read by the model."""

from collections.abc import Callable
from typing import Final

from llm_api.core.errors import LLMAPIError
from llm_api.core.files.files import OwnedFiles
from llm_api.core.state.file_records import FileRecord

MAX_INPUT_BYTES: Final = 64 * 1024 * 1024
"""Of all files that one request names, together."""


class StoredInputs:
    """The files of who asks, for one request. `files` is called where it names one."""

    def __init__(self, files: Callable[[], OwnedFiles]) -> None:
        self._files = files
        self._left = MAX_INPUT_BYTES

    async def read(self, id: str, param: str) -> tuple[FileRecord, bytes]:
        """A file and its bytes. Raises what is wrong with the id, which stands at `param`."""
        try:
            files = self._files()
            file = await files.get(id)
            data = await files.content(file, self._left)
        except LLMAPIError as error:
            error.param = param
            raise
        self._left -= file.bytes
        return file, data
