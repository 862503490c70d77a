"""Which models are in memory, and what to do about it next. Pure: no clock, no task, no model.

```
unloaded ── Load ──► loading ── loaded() ──► loaded ── Unload ──► unloading
   ▲  ▲                 │                                             │
   │  └── failed() ─────┘                                             │
   └───────────────────────────── unloaded() ─────────────────────────┘
```

Requests hold tickets. A ticket waits until its model is loaded, then uses it until it leaves.

1. One model at a time is in transit: loads and unloads never overlap.
2. Models are loaded in the order in which they were first asked for. Where there is no room, idle
   models go, least recently used first, and only if that makes enough room.
3. A model in use, or one that is waited for, is never unloaded. One that is pinned only if asked.
4. Where models in use leave no room, a waiting request is refused after `room_wait_seconds`.
5. After a failed load the model rests, longer after each failure; a request meanwhile gets the
   reason at once.
6. A model that somebody asks to unload goes as soon as it is idle.

Every time is in seconds of one clock that the caller reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType, TypeAlias

from llm_api.core.errors import ModelInUseError, UnavailableError

Ticket = NewType("Ticket", int)
ModelState: TypeAlias = Literal["unloaded", "loading", "loaded", "unloading", "failed"]


@dataclass(frozen=True, slots=True)
class ResidencyLimits:
    """`memory_bytes` None is no budget, `idle_seconds` None keeps idle models for ever."""

    memory_bytes: int | None = None
    idle_seconds: float | None = None
    room_wait_seconds: float = 30.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """Load this model, then tell `loaded` or `failed`."""

    model_id: str


@dataclass(frozen=True, slots=True)
class Unload:
    """Free this model, then tell `unloaded`."""

    model_id: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """There was no room for this model: answer all who wait for it. Their tickets are void."""

    model_id: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do until something is told, or until this time."""

    until: float | None = None


Step: TypeAlias = Load | Unload | Refuse | Rest


@dataclass(slots=True)
class _Model:
    size_bytes: int
    state: Literal["unloaded", "loading", "loaded", "unloading"] = "unloaded"
    waiting: set[Ticket] = field(default_factory=set)
    users: set[Ticket] = field(default_factory=set)
    last_used: float = 0.0
    has_been_loaded: bool = False
    blocked_since: float | None = None
    failures: int = 0
    rests_until: float = 0.0
    reason: str = ""
    is_pinned: bool = False
    is_to_go: bool = False

    @property
    def is_idle(self) -> bool:
        return self.state == "loaded" and not self.users and not self.waiting

    @property
    def may_make_room(self) -> bool:
        return self.is_idle and not self.is_pinned

    @property
    def fills_memory(self) -> bool:
        return self.state != "unloaded"


class Residency:
    """Sizes in bytes by model id, and the limits; all models begin unloaded."""

    def __init__(self, sizes: Mapping[str, int], limits: ResidencyLimits) -> None:
        self._models = {model_id: _Model(size) for model_id, size in sizes.items()}
        self._limits = limits
        self._wanted: list[str] = []  # with waiting tickets, first come first
        self._next_ticket = 0

    def state(self, model_id: str) -> ModelState:
        model = self._models[model_id]
        return "failed" if model.state == "unloaded" and model.failures else model.state

    def add(self, model_id: str, size_bytes: int) -> None:
        """A further model, which is not loaded."""
        self._models[model_id] = _Model(size_bytes)

    def remove(self, model_id: str) -> None:
        """Forget a model. Raises ModelInUseError unless it is out of memory, and nobody waits."""
        model = self._models[model_id]
        if model.fills_memory or model.waiting:
            raise ModelInUseError(f"The model `{model_id}` is in memory; unload it first.")
        del self._models[model_id]

    def pin(self, model_id: str) -> None:
        """Neither idleness nor want of room unloads this model, until somebody asks for that."""
        self._models[model_id].is_pinned = True

    def let_go(self, model_id: str, *, is_to_go: bool = True) -> bool:
        """Unload this model once it is idle, or not after all. Whether it is still in memory."""
        model = self._models[model_id]
        model.is_to_go = is_to_go and model.fills_memory
        return model.fills_memory

    def is_pinned(self, model_id: str) -> bool:
        return self._models[model_id].is_pinned

    def answering(self, model_id: str) -> int:
        """Requests that use this model, or wait for it."""
        model = self._models[model_id]
        return len(model.users) + len(model.waiting)

    def answers(self, model_id: str) -> bool:
        """Whether this model has been loaded before and its last load succeeded."""
        model = self._models[model_id]
        return model.has_been_loaded and not model.failures

    def ask(self, model_id: str, now: float) -> Ticket:
        """A ticket to this model; `is_granted` says whether it may use it at once.

        Raises UnavailableError while the model rests after a failed load.
        """
        model = self._models[model_id]
        if model.failures and now < model.rests_until:
            raise UnavailableError(model.reason, retry_after_seconds=model.rests_until - now)
        self._next_ticket += 1
        ticket = Ticket(self._next_ticket)
        if model.state == "loaded":
            model.users.add(ticket)
        else:
            model.waiting.add(ticket)
            if model_id not in self._wanted:
                self._wanted.append(model_id)
        return ticket

    def is_granted(self, model_id: str, ticket: Ticket) -> bool:
        return ticket in self._models[model_id].users

    def leave(self, model_id: str, ticket: Ticket, now: float) -> None:
        """Give the ticket back, whatever has become of it."""
        model = self._models[model_id]
        if ticket in model.users:
            model.users.remove(ticket)
            model.last_used = now
        elif ticket in model.waiting:
            model.waiting.remove(ticket)
            if not model.waiting:
                self._forget_waiting(model_id)

    def loaded(self, model_id: str, now: float) -> None:
        model = self._models[model_id]
        model.state, model.last_used, model.failures = "loaded", now, 0
        model.has_been_loaded = True
        model.users |= model.waiting
        self._forget_waiting(model_id)

    def failed(self, model_id: str, reason: str, now: float) -> float:
        """The load failed; tickets that waited for it are void. Returns the pause in seconds."""
        model = self._models[model_id]
        limits = self._limits
        # Bounded before the power is taken: 2.0 ** 1024 overflows.
        growth = 2.0 ** min(model.failures, 30)
        pause = min(limits.first_pause_seconds * growth, limits.longest_pause_seconds)
        model.state, model.reason, model.rests_until = "unloaded", reason, now + pause
        model.failures += 1
        self._forget_waiting(model_id)
        return pause

    def unloaded(self, model_id: str) -> None:
        model = self._models[model_id]
        model.state = "unloaded"
        model.is_to_go = model.is_pinned = False

    def next_step(self, now: float) -> Step:
        """What to do now. A returned step is taken as begun."""
        if any(model.state in {"loading", "unloading"} for model in self._models.values()):
            return Rest()
        step = self._step_for_wanted(now) if self._wanted else None
        return step or self._step_for_idle(now)

    def check_integrity(self) -> None:
        """Raise AssertionError unless the rules above hold and every ticket has one place."""
        models = self._models
        if sum(model.state in {"loading", "unloading"} for model in models.values()) > 1:
            raise AssertionError("two models are in transit")
        if sorted(self._wanted) != sorted(i for i, model in models.items() if model.waiting):
            raise AssertionError("the wanted models are not those that tickets wait for")
        for model_id, model in models.items():
            if model.users and model.state != "loaded":
                raise AssertionError(f"{model_id} is in use and {model.state}")
            if model.waiting and model.state == "loaded":
                raise AssertionError(f"{model_id} is loaded, and waited for")
        if self._free_bytes() < 0:
            raise AssertionError("more memory is filled than there is")

    def _step_for_wanted(self, now: float) -> Step | None:
        """The step towards the first wanted model; None while models in use leave no room."""
        model_id = self._wanted[0]
        model = self._models[model_id]
        lacking = model.size_bytes - self._free_bytes()
        if lacking <= 0:
            model.state, model.blocked_since = "loading", None
            return Load(model_id)
        idle = {other_id: other for other_id, other in self._models.items() if other.may_make_room}
        if sum(other.size_bytes for other in idle.values()) >= lacking:
            return self._unload(min(idle, key=lambda other_id: idle[other_id].last_used))
        if model.blocked_since is None:
            model.blocked_since = now
        if now >= model.blocked_since + self._limits.room_wait_seconds:
            self._forget_waiting(model_id)
            return Refuse(model_id)
        return None

    def _step_for_idle(self, now: float) -> Step:
        for model_id, model in self._models.items():
            if model.is_to_go and model.is_idle:
                return self._unload(model_id)
        times = []
        if self._wanted and (since := self._models[self._wanted[0]].blocked_since) is not None:
            times.append(since + self._limits.room_wait_seconds)
        if self._limits.idle_seconds is not None:
            for model_id, model in self._models.items():
                if model.may_make_room:
                    times.append(model.last_used + self._limits.idle_seconds)
                    if times[-1] <= now:
                        return self._unload(model_id)
        return Rest(min(times, default=None))

    def _unload(self, model_id: str) -> Unload:
        self._models[model_id].state = "unloading"
        return Unload(model_id)

    def _free_bytes(self) -> float:
        if self._limits.memory_bytes is None:
            return float("inf")
        filled = sum(model.size_bytes for model in self._models.values() if model.fills_memory)
        return self._limits.memory_bytes - filled

    def _forget_waiting(self, model_id: str) -> None:
        model = self._models[model_id]
        # A new set: the old one may have become the users.
        model.waiting, model.blocked_since = set(), None
        if model_id in self._wanted:
            self._wanted.remove(model_id)
