"""A backend that can do more than the one inside: tools by prompt, formats by checking.

```
 request ──► plan: asked in words ──► backend ──► answer ──► valid: shown
                      ▲                             │
                      └── refused, and why ◄── not valid, while attempts are left
```
What the inner backend can do itself passes through untouched, and what neither can is refused by
name. Text streams at once, as long as nothing was asked of it; calls, and text in a format, come
in one piece when they are known to be valid. An invalid call is never shown, but for one of a tool
that is not strict, which breaks only what no backend could enforce: where no attempt gave a better
one, its end says so.

Usage and timings are those of all attempts together, and each may use `max_tokens`. Stop strings
are the inner backend's: they end calls as well.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final

from llm_api.core.errors import GenerationError
from llm_api.core.llm.backend import ModelCard, OwnedBackend
from llm_api.core.llm.collect import added, used_after
from llm_api.core.llm.gateway.emulation.answer import AttemptReader
from llm_api.core.llm.gateway.emulation.checks import InvalidAnswerError
from llm_api.core.llm.gateway.emulation.plan import (
    EMULATED,
    EmulationPlan,
    Needs,
    find_needs,
    make_plan,
)
from llm_api.core.llm.gateway.emulation.prompts import told_again
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.output.dialect import new_call_id
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    MarkedText,
    Started,
    Tokenized,
    Usage,
)
from llm_api.core.utils.work_threads import WorkThreads

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 3

CHECKERS: Final = 4
CHECKERS_PER_SCOPE: Final = 2
"""Threads that look through schemas and answers, of all and of one key."""


class EmulatingBackend:
    """Owns the backend inside: closing it closes that."""

    def __init__(
        self,
        backend: OwnedBackend,
        attempts: int = ATTEMPTS,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        self._backend = backend
        self._card = _with_emulated(backend.card)
        self._attempts = attempts
        self._new_id = new_id
        self._threads = WorkThreads(CHECKERS, per_owner=CHECKERS_PER_SCOPE)

    @property
    def card(self) -> ModelCard:
        """The inner backend's, which can do more where it can chat."""
        return self._card

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        capabilities = self._backend.card.capabilities
        needs = find_needs(request, capabilities.abilities)
        if needs is None:
            capabilities.check(request)
            return self._backend.generate(request)
        return self._emulated(request, needs)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await self._backend.count_tokens(texts)

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        return await self._backend.tokenize(text)

    async def detokenize(self, ids: Sequence[int]) -> str:
        return await self._backend.detokenize(ids)

    def observe(self) -> Iterator[Observation]:
        return self._backend.observe()

    async def aclose(self) -> None:
        await self._backend.aclose()

    async def _emulated(
        self, request: GenerationRequest, needs: Needs
    ) -> AsyncGenerator[Event, None]:
        """Raises GenerationError where no attempt gave a valid answer."""
        plan = await self._threads.run(partial(make_plan, request, needs), request.context.scope)
        self._backend.card.capabilities.check(plan.request)
        prompt, problem = plan.prompt, ""
        bearable: AttemptReader | None = None
        spent = Finished("stop", Usage(0, 0))
        for attempt in range(self._attempts):
            answer = AttemptReader(plan, self._new_id)
            async with aclosing(
                self._backend.generate(replace(plan.request, prompt=prompt))
            ) as events:
                used = 0
                async for event in events:
                    used = used_after(event, used)
                    request.meter.tokens = used_after(spent, 0) + used
                    if attempt and isinstance(event, Started):
                        continue
                    for shown in answer.take(_warned(event, plan, request)):
                        yield shown
            spent = added(spent, answer.finished)
            try:
                rest = await self._threads.run(answer.rest, request.context.scope)
            except InvalidAnswerError as error:
                problem = str(error)
                prompt = told_again(prompt, answer.text, problem)
                if error.is_bearable and bearable is None:
                    bearable = answer
                continue
            for event in rest:
                yield _with_end(event, spent)
            return
        if bearable is None:
            raise GenerationError(
                f"The model gave no valid answer in {self._attempts} attempts. The last: {problem}"
            )
        end = partial(bearable.rest, bears=True)
        for event in await self._threads.run(end, request.context.scope):
            yield _with_end(event, spent)


def _with_emulated(card: ModelCard) -> ModelCard:
    """The inner backend's card, which can do more where it can chat."""
    if "chat" not in card.capabilities.abilities:
        return card
    abilities = card.capabilities.abilities | EMULATED
    return replace(card, capabilities=replace(card.capabilities, abilities=abilities))


def _warned(event: Event, plan: EmulationPlan, request: GenerationRequest) -> Event:
    """The start of a stream says beforehand of which functions calls may break their schema."""
    if not isinstance(event, Started) or request.context.is_whole:
        return event
    return replace(event, unenforced=plan.call_check.unenforced)


def _with_end(event: Event, spent: Finished) -> Event:
    """The event; the end is that of all attempts."""
    if not isinstance(event, Finished):
        return event
    for name in event.unenforced:
        logger.warning("a call of %s does not follow its schema", name)
    return replace(
        spent,
        reason=event.reason,
        unenforced=event.unenforced,
        stop_string=event.stop_string,
    )
