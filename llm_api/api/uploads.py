"""Reading a multipart body within bounds: its files, its fields. The middleware bounds its size."""

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from llm_api.api.errors import Failure, RequestRefusedError

_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 64 * 1024


async def read_form(request: Request, *, max_files: int) -> FormData:
    """The form; large files of it lie on disk. Whoever has it closes it.

    Raises RequestRefusedError for another content type, and for a body that is broken.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise _refusal(
            415, "unsupported_content_type", "Send files as multipart/form-data, as `curl -F` does."
        )
    try:
        return await request.form(
            max_files=max_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
        )
    except HTTPException as error:
        message = f"The form cannot be read: {error.detail}"
        raise _refusal(400, "invalid_form", message) from error


def _refusal(status: int, code: str, message: str) -> RequestRefusedError:
    return RequestRefusedError(Failure(status, "invalid_request_error", message, code))
