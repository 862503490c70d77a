"""What OpenAI adds to a collection: plain values. JSON texts that nothing here reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

FileEnd: TypeAlias = Literal["completed", "failed", "cancelled"]
FileStatus: TypeAlias = Literal["in_progress"] | FileEnd
Wish: TypeAlias = Literal["cancel", "detach"]

FileOutcome: TypeAlias = Literal["ended", "unwanted", "lost"]
DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What is known of a vector store beside its collection, whose name is its `id`.

    `body` is JSON. With `expires_days`, it expires so long after it was last active. Times are in
    Unix seconds.
    """

    id: str
    created_at: float
    last_active_at: float
    body: str
    expires_days: int | None = None
    expired_at: float | None = None

    @property
    def expires_at(self) -> float | None:
        return None if self.expires_days is None else self.last_active_at + self.expires_days * DAY


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file on its way into a store, or one whose way has ended.

    `owner` is whose file it is. `chunking` and `attributes` are JSON. `existed`: a document of this
    id may be there though the file is not `completed`. `wish` is what is to become of a file that
    a process works on.
    """

    store_id: str
    file_id: str
    owner: str
    created_at: float
    filename: str
    bytes: int
    attributes: str = "{}"
    chunking: str = ""
    status: FileStatus = "in_progress"
    error_code: str = ""
    error: str = ""
    existed: bool = False
    wish: Wish | None = None
    attempts: int = 0

    @property
    def may_be_stored(self) -> bool:
        """Whether there may be a document of it, while it is not completed."""
        return self.existed or (self.status == "in_progress" and self.attempts > 0)


@dataclass(frozen=True, slots=True)
class FileBatch:
    """Files that were attached to a store together."""

    id: str
    store_id: str
    created_at: float
    file_ids: Sequence[str]
    is_cancelled: bool = False
