"""Between files and the wire. Pure."""

import re
import unicodedata
from email.message import Message
from typing import Final, cast, get_args

from llm_api.api.models.files import (
    MAX_LIFE_SECONDS,
    MIN_LIFE_SECONDS,
    CreateUpload,
    FileList,
    FileObject,
    Purpose,
    UploadObject,
    UploadPart,
)
from llm_api.core.errors import InvalidRequestError, MissingParameterError
from llm_api.core.state.file_records import (
    FileRecord,
    NewFile,
    NewUpload,
    PartRecord,
    UploadRecord,
)
from llm_api.core.state.records import Page

UPLOAD_SECONDS: Final = 3600
MAX_NAME_CHARACTERS: Final = 255
UNKNOWN_TYPE: Final = "application/octet-stream"
_NAME: Final = r"[a-z0-9!#$&^_.+-]{1,64}"
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"


def to_new_file(
    id: str, fields: dict[str, str], name: str, content_type: str | None, now: float
) -> NewFile:
    """The file that a form's fields describe. Raises InvalidRequestError."""
    if "purpose" not in fields:
        raise MissingParameterError("Missing required parameter: 'purpose'.", param="purpose")
    seconds = _seconds(fields)
    return NewFile(
        id=id,
        filename=bare_name(name),
        content_type=known_type(content_type),
        purpose=known_purpose(fields["purpose"]),
        created_at=now,
        expires_at=None if seconds is None else now + seconds,
    )


def known_purpose(given: str) -> Purpose:
    """Raises InvalidRequestError for another one."""
    if given not in get_args(Purpose):
        raise InvalidRequestError(
            f"The purpose '{given}' is not known; there are {', '.join(get_args(Purpose))}.",
            param="purpose",
        )
    return cast(Purpose, given)


def bare_name(given: str) -> str:
    """The name without folders and control characters. Raises InvalidRequestError for none."""
    last = re.split(r"[/\\]", given)[-1]
    name = "".join(one for one in last if unicodedata.category(one)[0] != "C").strip()
    if not name.strip("."):
        raise InvalidRequestError("The file needs a name, such as 'notes.txt'.", param="file")
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidRequestError(
            f"A file's name has {MAX_NAME_CHARACTERS} characters at most.", param="file"
        )
    return name


def known_type(given: str | None) -> str:
    """The media type, with its charset if it names one; of bytes where it is no media type."""
    header = Message()
    header["content-type"] = (given or "")[:MAX_NAME_CHARACTERS]
    essence = str(header["content-type"]).partition(";")[0].strip().lower()
    if not re.fullmatch(f"{_NAME}/{_NAME}", essence):
        return UNKNOWN_TYPE
    charset = header.get_content_charset("")
    return f"{essence}; charset={charset}" if re.fullmatch(_NAME, charset) else essence


def _seconds(fields: dict[str, str]) -> int | None:
    """Of life, as `expires_after` says."""
    anchor, seconds = fields.get(_ANCHOR), fields.get(_SECONDS)
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise InvalidRequestError(f"'{_ANCHOR}' must be 'created_at'.", param=_ANCHOR)
    number = re.fullmatch("[0-9]{1,9}", seconds or "")
    given = int(number.group()) if number else 0
    if not MIN_LIFE_SECONDS <= given <= MAX_LIFE_SECONDS:
        raise InvalidRequestError(
            f"'{_SECONDS}' must be a number from {MIN_LIFE_SECONDS} to {MAX_LIFE_SECONDS}.",
            param=_SECONDS,
        )
    return given


def to_wire(file: FileRecord) -> FileObject:
    return FileObject(
        id=file.id,
        object="file",
        bytes=file.bytes,
        created_at=int(file.created_at),
        expires_at=None if file.expires_at is None else int(file.expires_at),
        filename=file.filename,
        purpose=cast(Purpose, file.purpose),
        status="processed",
        status_details=None,
    )


def to_list(page: Page[FileRecord]) -> FileList:
    data = [to_wire(file) for file in page.entries]
    return FileList(
        object="list",
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=page.has_more,
    )


def to_new_upload(id: str, body: CreateUpload, now: float) -> NewUpload:
    """Raises InvalidRequestError for a name that is none."""
    return NewUpload(
        id=id,
        filename=bare_name(body.filename),
        content_type=known_type(body.mime_type),
        purpose=body.purpose,
        bytes=body.bytes,
        created_at=now,
        expires_at=now + UPLOAD_SECONDS,
        file_seconds=None if body.expires_after is None else body.expires_after.seconds,
    )


def file_of(id: str, upload: UploadRecord, now: float) -> NewFile:
    """The file that an upload becomes."""
    seconds = upload.file_seconds
    return NewFile(
        id=id,
        filename=upload.filename,
        content_type=upload.content_type,
        purpose=upload.purpose,
        created_at=now,
        expires_at=None if seconds is None else now + seconds,
    )


def to_upload(upload: UploadRecord, file: FileRecord | None = None) -> UploadObject:
    return UploadObject(
        id=upload.id,
        object="upload",
        bytes=upload.bytes,
        created_at=int(upload.created_at),
        expires_at=int(upload.expires_at),
        filename=upload.filename,
        purpose=cast(Purpose, upload.purpose),
        status=upload.status,
        file=None if file is None else to_wire(file),
    )


def to_part(part: PartRecord) -> UploadPart:
    return UploadPart(
        id=part.id,
        object="upload.part",
        created_at=int(part.created_at),
        upload_id=part.upload_id,
    )
