"""Reading a multipart body within bounds: its files, its fields. The middleware bounds its size."""

import errno
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing, asynccontextmanager
from email.message import Message

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from llm_api.api.errors import Failure, RequestRefusedError
from llm_api.core.errors import InvalidRequestError, MissingParameterError, StorageFullError

PIECE_BYTES = 1024 * 1024
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 64 * 1024


async def read_form(request: Request, *, max_files: int) -> FormData:
    """The form; large files of it lie on disk. The caller closes it.

    Raises RequestRefusedError for another content type, and for a body that is broken or cut off;
    StorageFullError where there is no room for its files.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise _refusal(
            415, "unsupported_content_type", "Send files as multipart/form-data, as `curl -F` does."
        )
    try:
        async with aclosing(request.stream()) as stream:
            return await _Parser(
                request.headers,
                stream,
                max_files=max_files,
                max_fields=_MAX_FIELDS,
                max_part_size=_MAX_FIELD_BYTES,
            ).parse()
    except MultiPartException as error:
        raise _broken(error.message) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFullError(
            "There is no room on the server's disk for temporary files; send less at once."
        ) from error


@asynccontextmanager
async def one_file(
    request: Request, name: str, fields: Collection[str]
) -> AsyncGenerator[tuple[UploadFile, dict[str, str]], None]:
    """The one file of a form, in the field `name`, with those of `fields` that it has.

    Raises as `read_form`, and MissingParameterError, InvalidRequestError for other fields.
    """
    form = await read_form(request, max_files=1)
    try:
        _check_fields(form, {name, *fields})
        file = form.get(name)
        if not isinstance(file, UploadFile):
            raise MissingParameterError(f"Send the file in the field '{name}'.", param=name)
        yield file, {key: value for key, value in form.items() if isinstance(value, str)}
    finally:
        await form.close()


def _check_fields(form: FormData, known: Collection[str]) -> None:
    """Raises InvalidRequestError."""
    for name in form:
        if name not in known:
            raise InvalidRequestError(
                f"The field '{name}' is not known; there are {', '.join(sorted(known))}.",
                param=name,
            )
        if len(form.getlist(name)) > 1:
            raise InvalidRequestError(f"The field '{name}' is there twice.", param=name)


async def pieces_of(upload: UploadFile) -> AsyncGenerator[bytes, None]:
    """The bytes of a file of a form."""
    while piece := await upload.read(PIECE_BYTES):
        yield piece


class _Parser(MultiPartParser):
    """Refuses a body that ends before its last boundary: it was cut off.

    Knows a file by `filename*` alone, too. RFC 7578 forbids that, and older clients send it for
    names that are not ASCII; to the library the file would be a field.
    """

    _has_ended = False

    def on_headers_finished(self) -> None:
        part = self._current_part
        if part.content_disposition is not None:
            part.content_disposition = _with_plain_name(part.content_disposition)
        super().on_headers_finished()

    def on_end(self) -> None:
        self._has_ended = True

    async def parse(self) -> FormData:
        """Closes the files that came if it raises."""
        self.stream = self._whole(self.stream)
        return await super().parse()

    async def _whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for piece in stream:
            yield piece
        if not self._has_ended:
            raise MultiPartException("It ends without its closing boundary: it was cut off.")


def _with_plain_name(disposition: bytes) -> bytes:
    """A part's header with the `filename` that its `filename*` spells. Pure."""
    _, options = parse_options_header(disposition)
    if b"filename" in options or b"filename*" not in disposition.lower():
        return disposition
    message = Message()
    message["content-disposition"] = disposition.decode("latin-1")
    name = message.get_filename("").replace("\\", "\\\\").replace('"', '\\"')
    return disposition + f'; filename="{name}"'.encode() if name else disposition


def _broken(reason: str) -> RequestRefusedError:
    return _refusal(400, "invalid_form", f"The form cannot be read: {reason}")


def _refusal(status: int, code: str, message: str) -> RequestRefusedError:
    return RequestRefusedError(Failure(status, "invalid_request_error", message, code))
