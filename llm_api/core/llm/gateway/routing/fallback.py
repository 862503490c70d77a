"""A model that others stand in for while it cannot answer; their answers say so."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from llm_api.core.errors import InvalidRequestError, LLMAPIError
from llm_api.core.llm.backend import Backend, BorrowingBackend, ModelCard
from llm_api.core.llm.gateway.routing.replica import PASSED_ON
from llm_api.core.llm.types import Event, GenerationRequest, ServedBy, Started, TokenPrompt

log = logging.getLogger(__name__)


class FallbackBackend(BorrowingBackend):
    """Asks `backend`, then each of `fallbacks` in order, until one answers.

    Only before the first event: what has begun to answer also ends the answer. Where none can,
    the caller learns why `backend` could not.
    """

    def __init__(self, backend: Backend, fallbacks: Sequence[Backend]) -> None:
        super().__init__(backend)
        self._fallbacks = tuple(fallbacks)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        failure: LLMAPIError | None = None  # of `backend`
        backends = (self._backend, *self._fallbacks)
        for backend in backends:
            has_begun = False
            asked = request if backend is backends[-1] else _with_stand_in(request)
            try:
                async with aclosing(backend.generate(asked)) as events:
                    async for event in events:
                        has_begun = True
                        yield event if failure is None else _marked(event, backend.card)
                return
            except InvalidRequestError as error:
                # A fallback may be able to do less than what the request was written for.
                if has_begun or failure is None:
                    raise
                log.warning("%s cannot stand in: %s", backend.card.id, error)
            except PASSED_ON as error:
                if has_begun or _speaks_in_tokens(request):
                    raise
                log.warning("%s cannot answer: %s", backend.card.id, error)
                failure = failure or error
        if failure is not None:
            raise failure


def _with_stand_in(request: GenerationRequest) -> GenerationRequest:
    if _speaks_in_tokens(request):
        return request
    return replace(request, context=replace(request.context, has_stand_in=True))


def _speaks_in_tokens(request: GenerationRequest) -> bool:
    """Whether the request holds token ids, which mean something else to another model."""
    return isinstance(request.prompt, TokenPrompt) or bool(request.sampling.logit_bias)


def _marked(event: Event, card: ModelCard) -> Event:
    if not isinstance(event, Started):
        return event
    by = event.served_by or ServedBy(card.backend)
    return replace(event, served_by=replace(by, fallback=by.fallback or card.id))
