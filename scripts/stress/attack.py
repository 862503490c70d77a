"""What an attack is: a strike that is repeated, in processes of their own, as clients are."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeAlias

from scripts.stress.case import Outcome, Target

STRIKE_SECONDS = 40.0
"""A strike that takes longer has met a server that does not answer."""
PAUSE_SECONDS = 0.5
"""Between the strikes of a client: what each costs is asked, not how many there can be."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to strike. It goes to another process."""

    port: int
    server_process: int


Strike: TypeAlias = Callable[[Place], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`strike` says what happened, in the same words each time; it may raise OSError, TimeoutError.

    While it is repeated the server and its workers may take `growth_mib` more, and keep `kept_mib`
    of it a while after. `prepare` is called once before.
    """

    name: str
    claim: str
    strike: Strike
    growth_mib: float
    kept_mib: float = 100.0
    prepare: Callable[[Target], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Attackers:
    """Processes that strike."""

    _pool: ProcessPoolExecutor

    async def strike(
        self, strikes: Sequence[Strike], place: Place, seconds: float
    ) -> list[Outcome]:
        """One of them strikes in turn until the time is over."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _repeat, strikes, place, seconds)


@asynccontextmanager
async def attackers(count: int) -> AsyncGenerator[Attackers, None]:
    """They are there when the block begins, and killed at its end."""
    pool = ProcessPoolExecutor(count, get_context("spawn"), _give_way)
    loop = asyncio.get_running_loop()
    try:
        await asyncio.gather(*(loop.run_in_executor(pool, time.sleep, 1) for _ in range(count)))
        yield Attackers(pool)
    finally:
        for process in list(pool._processes.values()):  # Python 3.14 has a method
            process.kill()
        pool.shutdown()


def _give_way() -> None:
    """Attackers have machines of their own: here they take what the server leaves of this one."""
    os.nice(19)


def place_of(target: Target) -> Place:
    return Place(target.port, target.server.process.pid)


def _repeat(strikes: Sequence[Strike], place: Place, seconds: float) -> list[Outcome]:
    return asyncio.run(_strike_in_turn(strikes, place, seconds))


async def _strike_in_turn(strikes: Sequence[Strike], place: Place, seconds: float) -> list[Outcome]:
    end = time.monotonic() + seconds
    outcomes: list[Outcome] = []
    while time.monotonic() < end:
        strike = strikes[len(outcomes) % len(strikes)]
        try:
            async with asyncio.timeout(STRIKE_SECONDS):
                outcomes.append(await strike(place))
        except (OSError, TimeoutError) as error:
            outcomes.append(Outcome(type(error).__name__, is_as_claimed=False))
        await asyncio.sleep(PAUSE_SECONDS)
    return outcomes
