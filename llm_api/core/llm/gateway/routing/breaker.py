"""When a replica that fails is left alone, and when it is tried again. Pure: reads no clock.

```
closed ── `failures` in a row ──► open ── its pause is over ──► half-open ── answered ──► closed
                                    ▲                              │ one trial
                                    └─────── failed: twice the pause
```

1. One attempt at a time tries a half-open replica. One that ends without saying anything of the
   replica (its client left, the request was refused) leaves the trial to the next.
2. A trial closes the breaker with its first token, so that a long answer keeps nobody waiting; but
   one failure then suffices to open it again, for longer, until an answer has been complete.
3. Attempts that began before the breaker opened tell it nothing new.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """`failures` in a row open it: for the first pause, then for twice as long, up to the last."""

    failures: int = 3
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 60.0


class Attempt:
    """One request's passage through a breaker. Compared by identity."""


class CircuitBreaker:
    """Counts what attempts and health checks report. Every attempt ends with `leave`."""

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._failures = 0  # in a row
        self._pause = limits.first_pause_seconds  # the next one
        self._open_until: float | None = None
        self._trial: Attempt | None = None

    @property
    def is_closed(self) -> bool:
        return self._open_until is None

    def admits(self, now: float) -> bool:
        """Whether an attempt may begin."""
        if self._open_until is None:
            return True
        return now >= self._open_until and self._trial is None

    def seconds_left(self, now: float) -> float:
        """The rest of the pause, 0 where there is none."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - now)

    def begin(self) -> Attempt:
        """An attempt that was admitted."""
        attempt = Attempt()
        if not self.is_closed:
            self._trial = attempt
        return attempt

    def answered(self, attempt: Attempt) -> None:
        """The first token is there."""
        if attempt is self._trial:
            self._open_until = self._trial = None
            self._failures = self._limits.failures - 1

    def completed(self) -> None:
        """An answer has come to its end."""
        if self.is_closed:
            self._failures = 0
            self._pause = self._limits.first_pause_seconds

    def failed(self, attempt: Attempt, now: float) -> None:
        """The attempt failed, and not by its request's fault."""
        if self.is_closed:
            self._count_failure(now)
        elif attempt is self._trial:
            self._open(now)

    def leave(self, attempt: Attempt) -> None:
        """The attempt is over, however it went."""
        if attempt is self._trial:
            self._trial = None

    def check_passed(self, now: float) -> None:
        """A health check went well: an open breaker admits its trial now."""
        if self._open_until is not None:
            self._open_until = min(self._open_until, now)

    def check_failed(self, now: float) -> None:
        """A health check failed. While the breaker is open that is no news."""
        if self.is_closed:
            self._count_failure(now)

    def _count_failure(self, now: float) -> None:
        self._failures += 1
        if self._failures >= self._limits.failures:
            self._open(now)

    def _open(self, now: float) -> None:
        self._open_until = now + self._pause
        self._pause = min(2 * self._pause, self._limits.longest_pause_seconds)
