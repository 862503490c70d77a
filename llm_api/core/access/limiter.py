"""What a key has used against what it may use. Knows no HTTP.

Requests and tokens are counted in windows of the clock: minutes, and days of UTC. So a limit holds
exactly within each minute by the clock, twice of it may fall into 60 seconds across two of them,
and what is refused will be admitted when the window ends, which is what a refusal says.

The tokens of an answer are known at its end. Before it begins, the most it may take is reserved:
`max_tokens`, and a token for every 3 bytes of the prompt; at its end that is replaced by what it
took, in the window in which it began.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import uuid4

from llm_api.core.access.counters import Count, Counters, CountersUnavailableError
from llm_api.core.access.keys import Limits
from llm_api.core.errors import RateLimitedError

log = logging.getLogger(__name__)

Unit: TypeAlias = Literal["requests", "tokens"]
Span: TypeAlias = Literal["minute", "day"]

LEASE_SECONDS = 3600
"""After so long, a request no longer counts among those at the same time: the process that knew
of its end may be gone."""

_CONCURRENCY_RETRY_SECONDS = 1.0
_SECONDS: Mapping[Span, int] = {"minute": 60, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Window:
    """One limit of a key, in the minute or the day of a moment."""

    unit: Unit
    span: Span
    limit: int
    number: int
    ends_in_seconds: float

    @property
    def seconds(self) -> int:
        return _SECONDS[self.span]

    def count(self, name: str, amount: int) -> Count:
        """An amount to be counted for the key of that name. Pure."""
        counted = f"{{{name}}}:{self.unit}:{self.span}:{self.number}"
        return Count(counted, amount, self.limit, 2 * self.seconds)


class Limiter:
    """Counts for every key. Where the counts cannot be reached, `fails_open` lets all pass."""

    def __init__(
        self,
        counters: Counters,
        clock: Callable[[], float] = time.time,
        *,
        fails_open: bool = False,
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._fails_open = fails_open
        self._is_away = False

    def windows(self, limits: Limits, *units: Unit) -> tuple[Window, ...]:
        """The limits that there are on these units, at this moment."""
        now = self._clock()
        all_limits: tuple[tuple[Unit, Span, int | None], ...] = (
            ("requests", "minute", limits.requests_per_minute),
            ("tokens", "minute", limits.tokens_per_minute),
            ("tokens", "day", limits.tokens_per_day),
        )
        return tuple(
            Window(
                unit, span, limit, int(now // _SECONDS[span]), _SECONDS[span] - now % _SECONDS[span]
            )
            for unit, span, limit in all_limits
            if limit is not None and unit in units
        )

    async def count(
        self, name: str, amounts: Mapping[Window, int], *, is_forced: bool = False
    ) -> dict[Window, int]:
        """Count amounts for a key; what is used then. Empty where the counts are out of reach.

        Raises RateLimitedError where one does not fit and it is not forced, and
        CountersUnavailableError where the limiter does not fail open.
        """
        if not amounts:
            return {}
        counts = [window.count(name, amount) for window, amount in amounts.items()]
        try:
            counted = await self._counters.add(counts, is_forced=is_forced)
        except CountersUnavailableError as error:
            self._pass_unless_closed(error)
            return {}
        self._is_away = False
        used = dict(zip(amounts, counted.used, strict=True))
        if not counted.is_granted:
            raise _refusal(amounts, used)
        return used

    async def enter(self, name: str, limit: int) -> str:
        """Begin a request among at most `limit` of the key; what `leave` needs.

        Raises as `count` does.
        """
        member = uuid4().hex
        try:
            if await self._counters.enter(_group(name), member, limit, LEASE_SECONDS):
                return member
        except CountersUnavailableError as error:
            self._pass_unless_closed(error)
            return member
        raise RateLimitedError(
            f"This key may have {limit} requests at the same time, and it has; try again when one"
            " of them has ended.",
            retry_after_seconds=_CONCURRENCY_RETRY_SECONDS,
        )

    async def leave(self, name: str, member: str) -> None:
        """End a request. Where the counts are out of reach, it ends by its lease."""
        try:
            await self._counters.leave(_group(name), member)
        except CountersUnavailableError as error:
            log.warning("the end of a request was not counted: %r", error.__cause__)

    async def aclose(self) -> None:
        await self._counters.aclose()

    def _pass_unless_closed(self, error: CountersUnavailableError) -> None:
        if not self._is_away:
            passes = "passes" if self._fails_open else "of a limited key is refused"
            log.error("limits cannot be checked, every request %s: %r", passes, error.__cause__)
        self._is_away = True
        if not self._fails_open:
            raise error


def _group(name: str) -> str:
    return f"{{{name}}}:running"


def _refusal(amounts: Mapping[Window, int], used: Mapping[Window, int]) -> RateLimitedError:
    """What to say of the limit that holds longest."""
    over = [window for window, amount in amounts.items() if used[window] + amount > window.limit]
    window = max(over, key=lambda one: one.ends_in_seconds)
    wait = math.ceil(window.ends_in_seconds)
    fits = all(amounts[one] <= one.limit for one in over)
    advice = f"Try again in {wait} seconds." if fits else "Ask for less: it can never fit."
    return RateLimitedError(
        f"This key may use {window.limit} {window.unit} per {window.span}; {max(used[window], 0)}"
        f" are used, and this needs {amounts[window]}. {advice}",
        retry_after_seconds=window.ends_in_seconds if fits else None,
    )
