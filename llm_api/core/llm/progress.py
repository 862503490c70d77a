"""How far a request is: it waits, its prompt is read, its answer is written. Plain values.

Nothing is counted for it: whatever computes a request says how to look, and somebody looks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

RequestState: TypeAlias = Literal["waiting", "reading", "writing"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One generation at one moment. `sequence` is its number in the engine.

    `read_tokens` are those of the prompt whose KV is there, the `cached_tokens` among them;
    `most_tokens` bounds the answer, None where only the context does. `place_in_queue` 1 is
    admitted next, 0 does not wait. `tokens_per_second` is its own speed, or the engine's before it
    has one; `seconds_left` counts to the beginning of its answer. None is what cannot be said
    (yet). The `sequence` of another server's engine is -1.
    """

    sequence: int
    state: RequestState
    prompt_tokens: int
    cached_tokens: int
    read_tokens: int
    written_tokens: int
    most_tokens: int | None
    place_in_queue: int = 0
    waited_seconds: float = 0.0
    read_seconds: float = 0.0
    written_seconds: float = 0.0
    tokens_per_second: float | None = None
    seconds_left: float | None = None


@dataclass(slots=True)
class Journey:
    """The way of one request, for everybody who has the request. Belongs to the event loop.

    `progress` may be called on any thread: what it tells of a step in progress is about right.
    """

    _look: Callable[[], Progress] | None = field(default=None, repr=False)
    _last: Progress | None = None

    def follow(self, look: Callable[[], Progress]) -> None:
        """From now on, `look` tells how far it is."""
        self._look = look

    def leave(self) -> None:
        """What computed it is done with it: it stays as far as it came. Idempotent."""
        if self._look is not None:
            self._last, self._look = self._look(), None

    def progress(self) -> Progress | None:
        """How far it is; None where nothing has told."""
        look = self._look
        return self._last if look is None else look()
