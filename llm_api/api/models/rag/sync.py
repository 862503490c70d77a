"""A source compared with what is stored of it: what a client has, what it is to send."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from llm_api.api.models.base import AnswerModel, RequestModel
from llm_api.api.models.rag.fields import DEFAULT_COLLECTION, CollectionName, DocumentId
from llm_api.core.rag.sync import DEFAULT_DELETED_SHARE

MAX_FILES = 20_000

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]


class ListedFile(RequestModel):
    """A file of the source: the name that it is uploaded under, and the hash of its bytes."""

    path: DocumentId
    sha256: Digest


class SyncRequest(RequestModel):
    """What a source has. More files than go in one request are sent in ranges of their paths."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "docs",
                    "files": [
                        {
                            "path": "docs/guide.md",
                            "sha256": "e3b0c44298fc1c149afbf4c8996fb924"
                            "27ae41e4649b934ca495991b7852b855",
                        }
                    ],
                    "is_complete": False,
                }
            ]
        }
    )

    source: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="What all paths begin with, before a slash, such as the name of a folder."
    )
    files: Annotated[list[ListedFile], Field(fail_fast=True)] = Field(max_length=MAX_FILES)
    collection: CollectionName = DEFAULT_COLLECTION
    root: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = Field(
        default=None,
        description="What tells this source from another of its name, as metadata `source_root` of"
        " its files. Default: the source's name, which stands for all without one.",
    )
    is_complete: bool = Field(
        default=False, description="These are all files of the source, or of the range."
    )
    delete: bool = Field(
        default=True, description="Delete what a complete list lacks; false: name it alone."
    )
    max_deleted_share: float = Field(
        default=DEFAULT_DELETED_SHARE,
        ge=0,
        le=1,
        description="Of the source's documents; more are deleted with `confirm` alone.",
    )
    confirm: bool = Field(default=False, description="Delete whatever share it is.")
    retry_failed: bool = Field(
        default=False, description="Ask again for files that could not be read as they are."
    )
    after: DocumentId | None = Field(
        default=None, description="The list is about paths after this one, by code points."
    )
    through: DocumentId | None = Field(
        default=None, description="The list is about paths up to this one, which it includes."
    )


class FailedFile(AnswerModel):
    """A file that cannot be read as it is, and why."""

    path: str
    error: str


class SyncAnswer(AnswerModel):
    """What to do: `new` and `changed` files are to be uploaded to `/v1/rag/files`."""

    object: Literal["rag.sync"]
    collection: str
    source: str
    new: list[str]
    changed: list[str]
    running: list[str] = Field(description="A job is to store them as they are.")
    failed: list[FailedFile] = Field(
        description="They cannot be read, and are asked for again when their bytes change."
    )
    gone: list[str] = Field(description="Stored, and not in the complete list.")
    deleted: int = Field(description="How many of these were deleted.")
    unchanged: int
