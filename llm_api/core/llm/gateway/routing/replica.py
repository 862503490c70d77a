"""One of several equal backends of a model: how busy it is, and whether it is well."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from llm_api.core.errors import (
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
)
from llm_api.core.llm.backend import OwnedBackend
from llm_api.core.llm.gateway.routing.breaker import Attempt, BreakerLimits, CircuitBreaker

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]
"""Seconds that only ever grow."""

PASSED_ON: Final = (UnavailableError, OverloadedError, UpstreamError)
"""What another backend may do better, as long as nothing of the answer is out."""

_NO_FAULT: Final = (InvalidRequestError, OverloadedError)


@dataclass(slots=True, eq=False)
class Replica:
    """A backend and its state. `name` is for logs and metrics; `turn` orders the equally busy.

    `check` asks whether it is well, and raises where it is not; None where that cannot be asked.
    """

    name: str
    backend: OwnedBackend
    weight: float = 1.0
    check: Callable[[], Awaitable[None]] | None = None
    breaker: CircuitBreaker = field(default_factory=lambda: CircuitBreaker(BreakerLimits()))
    running: int = 0
    turn: float = 0.0

    @contextmanager
    def attempt(self, clock: Clock) -> Iterator[Attempt]:
        """One request, counted while it runs; what it raises is a failure of the replica.

        Except where the request is at fault, or the replica only busy. A caller who leaves is
        neither success nor failure.
        """
        attempt = self.breaker.begin()
        self.running += 1
        try:
            yield attempt
        except _NO_FAULT:
            raise
        except Exception as error:
            with self.told(clock, error):
                self.breaker.failed(attempt, clock())
            raise
        finally:
            self.running -= 1
            self.breaker.leave(attempt)

    @contextmanager
    def told(self, clock: Clock, reason: object) -> Iterator[None]:
        """Log what becomes of the breaker inside."""
        before = self.breaker.seconds_left(clock())
        yield
        pause = self.breaker.seconds_left(clock())
        if pause > before:
            log.warning("%s is left alone for %.0f s: %s", self.name, pause, reason)
