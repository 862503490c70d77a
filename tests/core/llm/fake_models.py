"""A clock that tests turn, and models that open when tests say so."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from llm_api.core.llm.backend import OwnedBackend
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.residency.keeper import KeptModel
from tests.fakes import CARD, FakeBackend


@dataclass(eq=False)
class FakeTimerHandle:
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class FakeTimer:
    """Time stands still until `advance`."""

    now: float = 0.0
    calls: list[tuple[float, Callable[[], None], FakeTimerHandle]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None], /) -> FakeTimerHandle:
        handle = FakeTimerHandle()
        self.calls.append((self.now + delay, callback, handle))
        return handle

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everybody react to it."""
        self.now += seconds
        for when, callback, handle in list(self.calls):
            if when <= self.now and not handle.is_cancelled:
                handle.cancel()
                callback()
        await settle()


async def settle() -> None:
    """Let every task of the loop run until it waits for something outside."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class ClosableBackend(FakeBackend):
    is_closed: bool = False
    close_failure: Exception | None = None
    observations: list[Observation] = field(default_factory=list)

    def observe(self) -> Iterator[Observation]:
        return iter(self.observations)

    async def aclose(self) -> None:
        if self.close_failure is not None:
            raise self.close_failure
        self.is_closed = True


@dataclass
class FakeModel:
    """A model whose `opened` is what its loads made; it opens once `may_open` is set.

    Each load takes one error out of `failures` first, and fails with it.
    """

    name: str
    size_bytes: int = 0
    loads_at_startup: bool = False
    may_open: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)
    opened: list[ClosableBackend] = field(default_factory=list)
    loads: int = 0

    def __post_init__(self) -> None:
        self.may_open.set()

    def kept(self) -> KeptModel:
        card = replace(CARD, id=self.name, aliases=(f"{self.name}-alias",))
        return KeptModel(card, self.open, self.size_bytes, self.loads_at_startup)

    async def open(self) -> OwnedBackend:
        self.loads += 1
        await self.may_open.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.opened.append(ClosableBackend(card=self.kept().card))
        return self.opened[-1]
