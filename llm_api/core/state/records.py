"""What the stores take and give: plain values. Bodies are JSON texts that no store interprets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Generic, Literal, TypeAlias, TypeVar

Item = TypeVar("Item")

Unfinished: TypeAlias = Literal["queued", "in_progress"]
Ended: TypeAlias = Literal["completed", "incomplete", "failed", "cancelled"]
Status: TypeAlias = Unfinished | Ended

UNFINISHED: Final[tuple[Unfinished, ...]] = ("queued", "in_progress")

Order: TypeAlias = Literal["asc", "desc"]


def bytes_of(*texts: str) -> int:
    """How much room texts take as UTF-8. Pure."""
    return sum(
        len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        for text in texts
    )


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item of a response or of a conversation, as JSON."""

    id: str
    body: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a stream, as JSON. Numbers ascend within a response."""

    sequence_number: int
    body: str


@dataclass(frozen=True, slots=True)
class NewResponse:
    """A response that begins. It goes on from `previous_id`, or belongs to a conversation.

    With neither, it may be another beginning of the thread whose first response is `thread_id`.
    """

    id: str
    created_at: float
    body: str
    input_items: Sequence[StoredItem] = ()
    previous_id: str | None = None
    conversation_id: str | None = None
    is_background: bool = False
    status: Unfinished = "in_progress"
    thread_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a response ended: its last body, and the items that were made."""

    status: Ended
    body: str
    output_items: Sequence[StoredItem] = ()


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A look at a response. Times are in Unix seconds.

    `body` is the last that was stored: that of the beginning while the response is not finished.
    `is_lost`: the process that made it died, so the status is `failed`, and the body knows nothing
    of it. `last_event` is the number of the last event that is stored; None where there are none,
    or none any more: then its stream cannot be followed.
    """

    id: str
    status: Status
    body: str
    created_at: float
    ended_at: float | None
    previous_id: str | None
    conversation_id: str | None
    is_background: bool
    is_lost: bool
    last_event: int | None

    @property
    def has_ended(self) -> bool:
        return self.status not in UNFINISHED


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """`metadata` is JSON."""

    id: str
    created_at: float
    metadata: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `limit` entries, from the one after that with the id `after`."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    entries: Sequence[Item]
    has_more: bool


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """A file that no text can be taken from while its bytes have this SHA-256."""

    document_id: str
    digest: str
    reason: str
    failed_at: float


@dataclass(frozen=True, slots=True)
class StoredSync:
    """What a sync of `source` saw, as JSON that no store interprets."""

    source: str
    synced_at: float
    body: str


JobEnd: TypeAlias = Literal["done", "failed", "cancelled"]
JobState: TypeAlias = Literal["queued", "running"] | JobEnd


@dataclass(frozen=True, slots=True)
class JobInput:
    """A piece of what a job works on. `details` is JSON; nobody here interprets either."""

    id: str
    details: str
    body: bytes


@dataclass(frozen=True, slots=True)
class WaitingInput:
    """An input that is not done, without its body."""

    position: int
    id: str
    details: str


@dataclass(frozen=True, slots=True)
class DoneInput:
    """What became of an input. `remark` is JSON that is worth keeping, if there is any."""

    position: int
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """`kind` says who can run it, `details`, in JSON, what it is to do with its inputs."""

    id: str
    kind: str
    details: str
    created_at: float


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A look at a job. `done` of its `total` inputs are. `error` is why all of it failed."""

    id: str
    owner: str
    details: str
    state: JobState
    total: int
    done: int
    error: str
    created_at: float
    started_at: float | None
    ended_at: float | None

    @property
    def has_ended(self) -> bool:
        return self.state not in ("queued", "running")


UsageKind: TypeAlias = Literal["generate", "embed", "rerank"]


@dataclass(frozen=True, slots=True)
class UsageDay:
    """What a key has used of a model on a day of UTC. `cached_tokens` are among the prompt's."""

    day: date
    owner: str
    model: str
    kind: UsageKind
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class StoredThread:
    """A thread as it is listed. `id` is that of its first response, `first` its first item."""

    id: str
    created_at: float
    updated_at: float
    responses: int
    is_running: bool
    first: StoredItem | None


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A response of a thread, and what it answers."""

    response: StoredResponse
    inputs: Sequence[StoredItem]


@dataclass(frozen=True, slots=True)
class ThreadSearch:
    """Words to be found. `says` judges a body that has them, which no store interprets."""

    words: str
    says: Callable[[str], bool]
