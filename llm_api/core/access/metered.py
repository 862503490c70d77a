"""Models as one caller reaches them: in its own scope, and with its tokens counted.

Made anew for each HTTP request. Tokens that a request goes on to use after it got something (rounds
of functions, batches of an ingest) are counted and not refused: what has begun is not cut.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import assert_never

from llm_api.core.access.caller import Caller
from llm_api.core.embeddings.embedder import (
    Embedder,
    EmbedderCard,
    EmbeddingInput,
    EmbeddingRequest,
    Embeddings,
    TokenCounter,
    TokenIds,
)
from llm_api.core.embeddings.reranker import Judgement, Reranker, RerankRequest
from llm_api.core.llm.backend import Backend, BorrowingBackend
from llm_api.core.llm.collect import used_after
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    FillInPrompt,
    Finished,
    GenerationRequest,
    Prompt,
    RequestContext,
    Started,
    TextPrompt,
    TokenPrompt,
)
from llm_api.core.state.records import UsageKind
from llm_api.core.utils.tokens import TokenMeter, estimate_tokens


class MeteredBackend(BorrowingBackend):
    """A borrowed backend, for one HTTP request of one caller: all of it has the same `context`."""

    def __init__(self, backend: Backend, caller: Caller, context: RequestContext) -> None:
        super().__init__(backend)
        self._caller = caller
        self._context = context
        self._has_answered = False
        self._is_counted = False

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`; raises RateLimitedError, too.

        An answer that is cut counts its prompt, and a token for each of its pieces, those that
        were held back included.
        """
        meter = TokenMeter()
        bound = self._caller.longest_answer if request.max_tokens is None else request.max_tokens
        request = replace(request, max_tokens=bound, context=self._context, meter=meter)
        most = (bound or 0) + _tokens_of_prompt(request.prompt)
        reservation = await self._caller.reserve(most, is_forced=self._has_answered)
        used = read = cached = 0
        try:
            async with aclosing(self._backend.generate(request)) as events:
                async for event in events:
                    used = used_after(event, used)
                    if isinstance(event, Started):
                        read = event.prompt_tokens or 0
                    elif isinstance(event, Finished):
                        read, cached = event.usage.prompt_tokens, event.usage.cached_tokens
                        self._has_answered = True
                    yield event
        finally:
            used = max(used, meter.tokens)
            self._count(read, used - read, cached)
            await self._caller.settle(reservation, used)

    def _count(self, read: int, written: int, cached: int) -> None:
        """Note what was used. The HTTP request is one, however often it asks the model."""
        if (usage := self._caller.usage) is not None:
            usage.count(
                self._caller.key.name,
                self.card.id,
                "generate",
                requests=int(not self._is_counted),
                prompt_tokens=read,
                completion_tokens=written,
                cached_tokens=cached,
            )
        self._is_counted = True


class MeteredEmbedder:
    """A borrowed embedder, for one caller."""

    def __init__(self, embedder: Embedder, caller: Caller) -> None:
        self._embedder = embedder
        self._caller = caller
        self._has_answered = False
        self._is_counted = False

    @property
    def card(self) -> EmbedderCard:
        return self._embedder.card

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """As `Embedder.embed`; raises RateLimitedError, too.

        A request that is cancelled, or fails, counts the tokens that the model has read by then.
        """
        meter = TokenMeter()
        request = replace(request, scope=self._caller.key.sharing_scope, meter=meter)
        most = sum(map(_tokens_of_input, request.inputs))
        reservation = await self._caller.reserve(most, is_forced=self._has_answered)
        try:
            embeddings = await self._embedder.embed(request)
            meter.tokens, self._has_answered = embeddings.tokens, True
        finally:
            _count_reading(self._caller, self.card, "embed", meter, is_first=not self._is_counted)
            self._is_counted = True
            await self._caller.settle(reservation, meter.tokens)
        return embeddings

    async def token_counter(self) -> TokenCounter:
        return await self._embedder.token_counter()


class MeteredReranker:
    """A borrowed reranker, for one HTTP request of one caller."""

    def __init__(self, reranker: Reranker, caller: Caller) -> None:
        self._reranker = reranker
        self._caller = caller

    @property
    def card(self) -> EmbedderCard:
        return self._reranker.card

    async def judge(self, request: RerankRequest) -> Judgement:
        """As `Reranker.judge`; raises RateLimitedError, too. Counts as `MeteredEmbedder` does."""
        meter = TokenMeter()
        question = estimate_tokens(request.question)
        most = sum(question + estimate_tokens(text) for text in request.texts)
        reservation = await self._caller.reserve(most)
        try:
            judgement = await self._reranker.judge(replace(request, meter=meter))
            meter.tokens = judgement.tokens
        finally:
            _count_reading(self._caller, self.card, "rerank", meter)
            await self._caller.settle(reservation, meter.tokens)
        return judgement


def _count_reading(
    caller: Caller,
    card: EmbedderCard,
    kind: UsageKind,
    meter: TokenMeter,
    *,
    is_first: bool = True,
) -> None:
    """Note what a model has read for this caller."""
    if caller.usage is not None:
        name, requests = caller.key.name, int(is_first)
        caller.usage.count(name, card.id, kind, requests=requests, prompt_tokens=meter.tokens)


def _tokens_of_prompt(prompt: Prompt) -> int:
    match prompt:
        case ChatPrompt(messages):
            return sum(estimate_tokens(message.content) for message in messages)
        case TextPrompt(text) | FillInPrompt(text=text):
            return estimate_tokens(text)
        case TokenPrompt(tokens):
            return len(tokens)
        case other:
            assert_never(other)


def _tokens_of_input(given: EmbeddingInput) -> int:
    return len(given.ids) if isinstance(given, TokenIds) else estimate_tokens(given)
