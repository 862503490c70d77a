"""Files, and uploads that become one."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, StringConstraints

from llm_api.api.models.base import AnswerModel, RequestModel

Purpose: TypeAlias = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]

MIN_LIFE_SECONDS: Final = 3600
MAX_LIFE_SECONDS: Final = 30 * 86_400


class FileObject(AnswerModel):
    """A file, without its bytes. `processed` from the beginning: nothing is done to it."""

    id: str = Field(examples=["file-0123456789abcdef"])
    object: Literal["file"]
    bytes: int
    created_at: int = Field(description="Unix seconds.")
    expires_at: int | None = Field(description="Unix seconds; null: never.")
    filename: str
    purpose: Purpose
    status: Literal["processed"]
    status_details: None


class FileList(AnswerModel):
    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(AnswerModel):
    id: str
    object: Literal["file"]
    deleted: Literal[True]


class ExpiresAfter(RequestModel):
    """When the file is deleted by itself."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=MIN_LIFE_SECONDS, le=MAX_LIFE_SECONDS)


class CreateUpload(RequestModel):
    """A file that will come in parts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "bytes": 11,
                    "filename": "notes.txt",
                    "mime_type": "text/plain",
                    "purpose": "user_data",
                }
            ]
        }
    )

    bytes: int = Field(ge=1, description="Of all parts together.")
    filename: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    mime_type: Annotated[str, StringConstraints(max_length=256)]
    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class CompleteUpload(RequestModel):
    """Which parts are the file."""

    part_ids: Annotated[
        list[Annotated[str, StringConstraints(max_length=256)]],
        Field(min_length=1, max_length=10_000, fail_fast=True),
    ] = Field(description="In the order of the file.", examples=[["part_0123456789abcdef"]])
    md5: Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{32}$")] | None = Field(
        default=None, description="Of the whole file: another one is refused."
    )


class UploadObject(AnswerModel):
    """A file that comes in parts. It expires an hour after it was begun."""

    id: str = Field(examples=["upload_0123456789abcdef"])
    object: Literal["upload"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: Purpose
    status: Literal["pending", "completed", "cancelled"]
    file: FileObject | None = Field(description="What a completed one has become.")


class UploadPart(AnswerModel):
    id: str
    object: Literal["upload.part"]
    created_at: int
    upload_id: str
