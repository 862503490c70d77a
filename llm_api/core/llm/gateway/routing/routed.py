"""A model that several equal backends run: each request goes to one of them, or to the next."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Literal, TypeAlias

from llm_api.core.errors import UnavailableError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.capabilities import common
from llm_api.core.llm.collect import used_after
from llm_api.core.llm.gateway.routing.beginning import beginning_of
from llm_api.core.llm.gateway.routing.choice import least_busy, nearest
from llm_api.core.llm.gateway.routing.deadlines import opening, within
from llm_api.core.llm.gateway.routing.health import watch_health
from llm_api.core.llm.gateway.routing.replica import PASSED_ON, Clock, Replica
from llm_api.core.llm.observation import Observation, ReplicaStatus
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    MarkedText,
    ServedBy,
    Started,
    TextDelta,
    Tokenized,
)
from llm_api.core.utils.tokens import TokenMeter

Routing: TypeAlias = Literal["prefix", "least_busy"]
"""By what a replica is chosen: what it has likely read before, or how busy it is alone."""


@dataclass(frozen=True, slots=True)
class RoutingLimits:
    """None is without limit. `first_token_seconds` holds for each replica that is tried."""

    first_token_seconds: float | None = None
    total_seconds: float | None = None
    check_seconds: float = 10.0


class RoutedBackend:
    """Owns its replicas, all of one kind. Open it on the event loop that requests come from.

    It can do what all of them can.

    Until the first token is there, or all of an answer that is wanted as a whole, another replica
    may take over. After it a failure is the caller's to know. `Started` is held back until then,
    but where the replica tells how far it is, for a caller who may see it: all replicas would say
    the same in it.
    """

    def __init__(
        self,
        card: ModelCard,
        replicas: Sequence[Replica],
        limits: RoutingLimits | None = None,
        clock: Clock = time.monotonic,
        *,
        routing: Routing = "prefix",
    ) -> None:
        cards = [one.backend.card for one in replicas]
        self._card = replace(
            card,
            backend=cards[0].backend,
            capabilities=common(one.capabilities for one in cards),
        )
        self._replicas = tuple(replicas)
        self._limits = limits or RoutingLimits()
        self._clock = clock
        self._routing = routing
        # A single replica has nobody to give way to: its own requests tell how it is.
        self._watch = (
            asyncio.create_task(watch_health(replicas, self._limits.check_seconds, clock))
            if len(replicas) > 1
            else None
        )

    @property
    def card(self) -> ModelCard:
        return self._card

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`. Also raises UpstreamError and UpstreamTimeoutError."""
        events = self._first_that_answers(request)
        seconds = self._limits.total_seconds
        return events if seconds is None else within(events, seconds)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As the first replica counts: all have the same vocabulary."""
        return await self._replicas[0].backend.count_tokens(texts)

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        return await self._replicas[0].backend.tokenize(text)

    async def detokenize(self, ids: Sequence[int]) -> str:
        return await self._replicas[0].backend.detokenize(ids)

    def observe(self) -> Iterator[Observation]:
        for replica in self._replicas:
            yield ReplicaStatus(replica.name, replica.breaker.is_closed, replica.running)
            yield from replica.backend.observe()

    async def aclose(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        async with AsyncExitStack() as stack:
            for replica in self._replicas:
                stack.push_async_callback(replica.backend.aclose)

    async def _first_that_answers(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """Each replica is tried once at most."""
        tried: list[Replica] = []
        failure: Exception | None = None
        beginning = self._beginning(request)
        has_started = False
        while (replica := self._choose(tried, beginning)) is not None:
            tried.append(replica)
            has_begun = False
            answer = self._ask(replica, request)
            if request.context.is_whole:
                answer = _complete(answer, request.meter)
            try:
                async with aclosing(answer) as events:
                    async for event in events:
                        if not isinstance(event, Started):
                            has_begun = True
                        elif has_started:
                            continue
                        has_started = True
                        yield event
                return
            except PASSED_ON as error:
                if has_begun:
                    raise
                failure = error
        raise failure or self._all_ill()

    def _beginning(self, request: GenerationRequest) -> bytes | None:
        """What leads the request to a replica; None where only its load counts."""
        has_choice = self._routing == "prefix" and len(self._replicas) > 1
        return beginning_of(request.prompt) if has_choice else None

    def _choose(self, tried: Collection[Replica], beginning: bytes | None) -> Replica | None:
        now = self._clock()
        candidates = [
            replica
            for replica in self._replicas
            if replica not in tried and replica.breaker.admits(now)
        ]
        if not candidates:
            return None
        if beginning is None:
            return least_busy(candidates, self._replicas)
        return nearest(candidates, beginning)

    async def _ask(
        self, replica: Replica, request: GenerationRequest
    ) -> AsyncGenerator[Event, None]:
        with replica.attempt(self._clock) as attempt:
            async with aclosing(replica.backend.generate(request)) as events:
                begin = opening(events, self._limits.first_token_seconds)
                started = _served_by(replica, await begin.next())
                if is_shown := _may_be_shown(request):
                    yield started
                first = await begin.next()
                replica.breaker.answered(attempt)
                if not is_shown:
                    yield started
                yield first
                last = first
                async for last in events:
                    yield last
            if isinstance(last, Finished):
                replica.breaker.completed()

    def _all_ill(self) -> UnavailableError:
        now = self._clock()
        seconds = min(replica.breaker.seconds_left(now) for replica in self._replicas)
        return UnavailableError(
            f"The model `{self._card.id}` has failed several times in a row, and rests.",
            retry_after_seconds=max(seconds, 1.0),
        )


async def _complete(
    events: AsyncGenerator[Event, None], meter: TokenMeter
) -> AsyncGenerator[Event, None]:
    """The same events, once the last has come; texts that follow one another come as one."""
    complete = []
    async with aclosing(events):
        async for event in events:
            meter.tokens = used_after(event, meter.tokens)
            complete.append(event)
    for event in _joined(complete):
        yield event


def _may_be_shown(request: GenerationRequest) -> bool:
    """Whether the caller is to see that an answer begins which has no token yet."""
    is_held = request.context.is_whole or request.context.has_stand_in
    return not is_held and request.journey.progress() is not None


def _joined(events: Iterable[Event]) -> Iterator[Event]:
    for kind, run in groupby(events, type):
        if kind is TextDelta:
            texts = [event for event in run if isinstance(event, TextDelta)]
            logprobs = chain.from_iterable(one.logprobs for one in texts)
            yield TextDelta("".join(one.text for one in texts), tuple(logprobs))
        else:
            yield from run


def _served_by(replica: Replica, event: Event) -> Event:
    if not isinstance(event, Started) or event.served_by is not None:
        return event
    return replace(event, served_by=ServedBy(replica.backend.card.backend))
