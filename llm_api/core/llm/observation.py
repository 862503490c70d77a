"""What a backend shows its owner of itself. Plain values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from llm_api.core.utils.distribution import Distribution


@dataclass(frozen=True, slots=True)
class KVTokens:
    """Cells of a KV buffer: those of running requests, those kept for reuse, and the others."""

    running: int
    reusable: int
    free: int


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """What one slot holds, in tokens. `sequence` is the number of its owner; None: it is idle.

    Of the owner's prompt: those it found `shared`, those it has computed itself, and the `unread`.
    In an idle slot they are kept for reuse.
    """

    index: int
    sequence: int | None
    shared: int
    prompt: int
    answer: int
    unread: int


@dataclass(frozen=True, slots=True)
class EngineSecond:
    """What an engine did in one second. `sequences` were computed in its steps, one after another.

    So `sequences / steps` is how many were computed together.
    """

    read_tokens: int = 0
    written_tokens: int = 0
    steps: int = 0
    sequences: int = 0


@dataclass(frozen=True, slots=True)
class EngineDetail:
    """An engine for somebody who watches it. `seconds` are those of the last minute.

    It may have `capacity` requests, of which `parallel` run. Speeds are in tokens a second, as
    learnt, while it reads and while it writes; None before it has.
    """

    parallel: int
    capacity: int
    read_speed: float | None
    write_speed: float | None
    slots: tuple[SlotStatus, ...]
    seconds: tuple[EngineSecond, ...]


TierName: TypeAlias = Literal["ram", "disk"]


@dataclass(frozen=True, slots=True)
class TierStatus:
    """A tier of stored prefixes below the KV buffer, `ram` or `disk`, as one model uses it.

    `room_bytes` is for all models together. The counts are since the model was loaded: prefixes
    that were restored, and the tokens that were not computed because of that.
    """

    name: str
    tokens: int
    bytes: int
    room_bytes: int
    prefixes: int
    hits: int
    restored_tokens: int


@dataclass(frozen=True, slots=True)
class DraftStatus:
    """Tokens that were guessed ahead in one way, and those of them that were right.

    `kind` is `lookup`, where an answer repeats its context, or `model`: a draft model, or MTP
    layers of the model's own. It `is_on` while it guesses, which it does not where that does not
    pay. The counts are since the model was loaded.
    """

    kind: str
    drafted: int
    accepted: int
    is_on: bool


@dataclass(frozen=True, slots=True)
class KeptPrefix:
    """A computed prefix outside the KV buffer. `key` is None for pinned ones, "" without keys.

    `model` is None where no model was loaded that it belongs to. `last_used` in Unix seconds.
    """

    key: str | None
    model: str | None
    fingerprint: str
    tokens: int
    bytes: int
    tiers: tuple[TierName, ...]
    is_pinned: bool
    retention: Literal["in_memory", "24h"] | None
    last_used: float


@dataclass(frozen=True, slots=True)
class CacheRoom:
    """How much of a tier is taken."""

    tier: TierName
    used_bytes: int
    room_bytes: int


@dataclass(frozen=True, slots=True)
class KeptPrefixes:
    """`count` prefixes are kept; `prefixes` are those of them that were used last."""

    prefixes: tuple[KeptPrefix, ...]
    count: int
    rooms: tuple[CacheRoom, ...]


@dataclass(frozen=True, slots=True)
class ForgottenPrefixes:
    """How many prefixes were deleted, and what room they took."""

    prefixes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How an engine stands, and what it has done since its model was loaded.

    The two distributions grow with every step: of the seconds it took, and of the sequences that
    were computed together in it. Without a KV buffer of cells `kv` is None. `look` gives the rest,
    which is gathered then.
    """

    running: int
    waiting: int
    step_seconds: Distribution
    batch_sizes: Distribution
    preemptions: int
    kv: KVTokens | None
    tiers: tuple[TierStatus, ...] = ()
    drafts: tuple[DraftStatus, ...] = ()
    look: Callable[[], EngineDetail] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One of the equal backends of a model. While it is not `is_well`, requests go to others."""

    name: str
    is_well: bool
    running: int


Observation: TypeAlias = EngineStatus | ReplicaStatus
