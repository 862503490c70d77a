"""Calls of functions whose schema cannot be enforced as a whole: checked, and resampled.

```
 attempt ──► text, other calls ──► shown at once, unless the request `is_whole`
        └──► from the first such call on ──► held ──► valid: shown
                                                  └─► not: the next attempt, if nothing was shown
```
What was shown cannot be taken back, so after that the first attempt is the only one. Where none is
valid, the best is shown, and its end says which functions' calls are not. Usage and timings are
those of all attempts together, and each may use `max_tokens`.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from llm_api.core.errors import LLMAPIError
from llm_api.core.llm.collect import added, cut_short, used_after
from llm_api.core.llm.types import (
    Event,
    Finished,
    GenerationRequest,
    Started,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

if TYPE_CHECKING:
    from llm_api.core.llm.output.checking.call_judge import Verdict

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 3

_LEAST_TEMPERATURE: Final = 0.7
"""Temperature of a further attempt: a greedy one would give the same answer again."""

_SEEDS_APART: Final = 1_000
"""Between attempts: the choices of a request have seeds that follow each other."""

Generate = Callable[[GenerationRequest], AsyncGenerator[Event, None]]
Judge = Callable[[Sequence[ToolCall]], Awaitable[Sequence["Verdict"]]]


async def resampled(
    request: GenerationRequest, generate: Generate, judged: Collection[str], judge: Judge
) -> AsyncGenerator[Event, None]:
    """The answer of the first attempt whose calls are valid, else the best of them.

    `judged` names the functions of which `judge` judges calls.
    """
    spent = Finished("stop", Usage(0, 0))
    best: _Attempt | None = None
    for number in range(ATTEMPTS):
        attempt = _Attempt(judged, request.context.is_whole, is_first=number == 0)
        try:
            async with aclosing(generate(_varied(request, number))) as events:
                used = 0
                async for event in events:
                    used = used_after(event, used)
                    request.meter.tokens = used_after(spent, 0) + used
                    for shown in attempt.take(event):
                        yield shown
            attempt.verdicts = await judge(attempt.calls)
        except LLMAPIError:
            if best is None or attempt.has_shown:
                raise
            break  # the model is busy, say: what there is has to do
        spent = added(spent, attempt.finished)
        best = attempt.better_than(best)
        if attempt.is_last:
            break
    for event in best.rest(spent) if best is not None else ():
        yield event


@dataclass(slots=True)
class _Attempt:
    """One answer: what is shown of it at once, and what is held."""

    judged: Collection[str]
    is_whole: bool
    is_first: bool
    has_shown: bool = False
    verdicts: Sequence["Verdict"] = ()
    _held: list[Event] = field(default_factory=list)
    _calls: dict[int, tuple[ToolCallStarted, list[str]]] = field(default_factory=dict)
    _finished: Finished | None = None

    @property
    def finished(self) -> Finished:
        """How it ended. Raises GenerationError where it broke off."""
        if self._finished is None:
            raise cut_short()
        return self._finished

    @property
    def calls(self) -> list[ToolCall]:
        """The calls to be judged: none where the answer was cut, since its last call may be."""
        if self.finished.reason != "tool_calls":
            return []
        return [
            ToolCall(call.id, call.name, "".join(arguments))
            for call, arguments in self._calls.values()
        ]

    @property
    def is_last(self) -> bool:
        """Whether another attempt is not needed, or comes too late."""
        return self.has_shown or not self._broken

    @property
    def _broken(self) -> int:
        """How many calls are known to break their schema."""
        return sum(bool(one.problem) and one.is_certain for one in self.verdicts)

    def better_than(self, other: "_Attempt | None") -> "_Attempt":
        """Itself, or the other. An answer that was shown in part is gone on with."""
        is_better = other is None or self.has_shown or self._broken < other._broken
        return self if is_better or other is None else other

    def take(self, event: Event) -> Iterator[Event]:
        """What of this event is shown at once."""
        match event:
            case Finished():
                self._finished = event
                return
            case Started():
                if self.is_first:
                    yield event if self.is_whole else replace(event, unenforced=tuple(self.judged))
                return
            case ToolCallStarted(index) if event.name in self.judged:
                self._calls[index] = event, []
            case ToolCallDelta(index, arguments) if index in self._calls:
                self._calls[index][1].append(arguments)
            case _:
                pass
        if self.is_whole or self._calls:
            self._held.append(event)
        else:
            self.has_shown = True
            yield event

    def rest(self, spent: Finished) -> Iterator[Event]:
        """What was held, and the end."""
        broken = [
            call.name
            for call, verdict in zip(self.calls, self.verdicts, strict=True)
            if verdict.problem
        ]
        for name in dict.fromkeys(broken):
            logger.warning("a call of %s does not follow its schema", name)
        yield from self._held
        yield replace(spent, reason=self.finished.reason, unenforced=tuple(dict.fromkeys(broken)))


def _varied(request: GenerationRequest, number: int) -> GenerationRequest:
    """The request for a further attempt, which differs; the same for the same seed."""
    if not number:
        return request
    sampling = request.sampling
    seed = sampling.seed
    if seed is None and sampling.temperature == 0:
        seed = 0
    return replace(
        request,
        sampling=replace(
            sampling,
            temperature=max(sampling.temperature, _LEAST_TEMPERATURE),
            seed=None if seed is None else seed + number * _SEEDS_APART,
        ),
    )
