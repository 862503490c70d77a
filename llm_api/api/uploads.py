"""Reading a multipart body within bounds: its size, its files, its fields."""

from collections.abc import Mapping

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.types import Message

from llm_api.api.errors import Failure, RequestRefusedError

MAX_UPLOAD_BYTES = 200_000_000
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 64 * 1024


async def read_form(
    request: Request, *, max_files: int, max_bytes: int = MAX_UPLOAD_BYTES
) -> FormData:
    """The form; large files of it lie on disk. Whoever has it closes it.

    Raises RequestRefusedError for another content type, a body that is too large or broken.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise _refusal(
            415, "unsupported_content_type", "Send files as multipart/form-data, as `curl -F` does."
        )
    if _declared(request.headers) > max_bytes:
        raise _too_large(max_bytes)
    bounded = Request(request.scope, _Bounded(request, max_bytes))
    try:
        return await bounded.form(
            max_files=max_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
        )
    except HTTPException as error:
        message = f"The form cannot be read: {error.detail}"
        raise _refusal(400, "invalid_form", message) from error


class _Bounded:
    """What the client sends, until it is too much."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._receive = request.receive
        self._max_bytes = max_bytes
        self._received = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._max_bytes:
            raise _too_large(self._max_bytes)
        return message


def _declared(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _refusal(status: int, code: str, message: str) -> RequestRefusedError:
    return RequestRefusedError(Failure(status, "invalid_request_error", message, code))


def _too_large(max_bytes: int) -> RequestRefusedError:
    message = f"Files must not be larger than {max_bytes} bytes together."
    return _refusal(413, "request_too_large", message)
