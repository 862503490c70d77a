"""One request of one key: what it may do, and what it uses. Knows no HTTP."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from llm_api.core.access.counters import CountersUnavailableError
from llm_api.core.access.keys import ApiKey, Scope
from llm_api.core.access.limiter import Limiter, Span, Unit, Window
from llm_api.core.access.usage import UsageBook
from llm_api.core.errors import PermissionDeniedError
from llm_api.core.utils.long_work import to_the_end


@dataclass(frozen=True, slots=True)
class RemainingLimit:
    """How much of a limit is left, and after how many seconds all of it is again."""

    limit: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens that are counted before they are used, and the windows they are counted in."""

    tokens: int
    windows: tuple[Window, ...]


class Caller:
    """Lives as long as its HTTP request: `enter`, any number of reservations, `leave`.

    `usage` is where it is written down what was used; None where it is not.
    """

    def __init__(self, key: ApiKey, limiter: Limiter, usage: UsageBook | None = None) -> None:
        self.key = key
        self.usage = usage
        self._limiter = limiter
        self._used: dict[tuple[Unit, Span], tuple[Window, int]] = {}
        self._member: str | None = None

    def require(self, *scopes: Scope) -> None:
        """Raises PermissionDeniedError unless the key has these scopes."""
        for scope in scopes:
            if scope not in self.key.scopes:
                raise PermissionDeniedError(f"This API key lacks the scope '{scope}'.")

    def may_use(self, names: Iterable[str]) -> bool:
        """Whether the key permits the model that goes by these names."""
        return self.key.models is None or not self.key.models.isdisjoint(names)

    @property
    def longest_answer(self) -> int | None:
        """Tokens of an answer whose request does not say: a quarter of what the key may use.

        None where its tokens are not limited. What may be used has to be reserved.
        """
        limits = self.key.limits
        given = [
            one for one in (limits.tokens_per_minute, limits.tokens_per_day) if one is not None
        ]
        return max(1, min(given) // 4) if given else None

    async def enter(self) -> None:
        """Count the request. Raises RateLimitedError or CountersUnavailableError."""
        if self.key.limits.concurrency is not None:
            self._member = await self._limiter.enter(self.key.name, self.key.limits.concurrency)
        windows = self._limiter.windows(self.key.limits, "requests", "tokens")
        try:
            await self._count({window: int(window.unit == "requests") for window in windows})
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """The request has ended. Idempotent; done whole, even when the task is cancelled."""
        member, self._member = self._member, None
        if member is not None:
            await to_the_end(self._limiter.leave(self.key.name, member))

    async def reserve(self, tokens: int, *, is_forced: bool = False) -> Reservation:
        """Count the most that an answer may take. Raises as `enter` does, unless it is forced."""
        windows = self._limiter.windows(self.key.limits, "tokens")
        await self._count(dict.fromkeys(windows, tokens), is_forced=is_forced)
        return Reservation(tokens, windows)

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Count what the answer took instead. Done whole, even when the task is cancelled.

        A count that fails stays as it was reserved.
        """
        if reservation.windows:
            amounts = dict.fromkeys(reservation.windows, tokens - reservation.tokens)
            with suppress(CountersUnavailableError):
                await to_the_end(self._count(amounts, is_forced=True))

    def standing(self, unit: Unit) -> RemainingLimit | None:
        """Where the tightest limit on this unit stands; None where there is none."""
        standings = (
            RemainingLimit(window.limit, max(0, window.limit - used), window.ends_in_seconds)
            for window, used in self._used.values()
            if window.unit == unit
        )
        return min(standings, key=lambda standing: standing.remaining, default=None)

    async def _count(self, amounts: dict[Window, int], *, is_forced: bool = False) -> None:
        used = await self._limiter.count(self.key.name, amounts, is_forced=is_forced)
        self._used |= {(window.unit, window.span): (window, now) for window, now in used.items()}
