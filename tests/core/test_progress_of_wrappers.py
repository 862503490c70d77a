"""How far a request is, is seen through all that may stand before what computes it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pytest

from llm_api.core.access.caller import Caller
from llm_api.core.access.counters import MemoryCounters
from llm_api.core.access.keys import ApiKey, Limits
from llm_api.core.access.limiter import Limiter
from llm_api.core.access.metered import MeteredBackend
from llm_api.core.errors import UnavailableError
from llm_api.core.function_loop import FunctionLoop
from llm_api.core.functions.runner import FunctionRunner
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.capabilities import ADAPTABLE, Capabilities
from llm_api.core.llm.gateway.counted import CountedBackend
from llm_api.core.llm.gateway.emulation.backend import EmulatingBackend
from llm_api.core.llm.gateway.response_cache.backend import CachingBackend
from llm_api.core.llm.gateway.response_cache.memory_answers import MemoryAnswers
from llm_api.core.llm.gateway.routing.fallback import FallbackBackend
from llm_api.core.llm.gateway.routing.replica import Replica
from llm_api.core.llm.gateway.routing.routed import RoutedBackend, RoutingLimits
from llm_api.core.llm.progress import Journey, Progress
from llm_api.core.llm.residency.keeper import KeptModel
from llm_api.core.llm.residency.model_registry import (
    AdaptedBackend,
    ModelRegistry,
    RenamedBackend,
)
from llm_api.core.llm.shortening import ShorteningBackend
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    JSONFormat,
    Message,
    RequestContext,
    Sampling,
    Started,
)
from llm_api.core.rag.answering.answer import RagBackend, RagOptions
from llm_api.core.rag.answering.searches import DocumentSearches
from llm_api.core.rag.answering.searching import SpokenBackend
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.retrieve import Retriever, SearchOptions
from llm_api.core.rag.types import Document
from llm_api.core.utils.traffic import Traffic
from tests.core.rag.fakes import FakeEmbedder, FakeStore, by_lines
from tests.fakes import CARD, FakeBackend, spoken

READING = Progress(7, "reading", 900, 100, 300, 0, 64, tokens_per_second=50.0, seconds_left=12.0)
ASKED = GenerationRequest(ChatPrompt((Message("user", "when do cats sleep"),)), 9)
GREEDY = replace(
    ASKED, sampling=Sampling(temperature=0), context=RequestContext(may_be_cached=True)
)
AS_JSON = replace(ASKED, output_format=JSONFormat({"type": "object"}))
CHATS = replace(CARD, capabilities=Capabilities(frozenset({"chat"})))


@dataclass
class Reader(FakeBackend):
    """Has begun to read a prompt, and answers once it may write."""

    may_write: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.script = lambda _: spoken("{", "}")

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        request.journey.follow(lambda: READING)
        async with aclosing(super().generate(request)) as events:
            yield await anext(events)
            await self.may_write.wait()
            async for event in events:
                yield event


Wrap: TypeAlias = Callable[[Reader, AsyncExitStack], Backend]


def routed(reader: Reader, limits: RoutingLimits | None = None) -> RoutedBackend:
    return RoutedBackend(CARD, [Replica("one", reader)], limits)


def limited(reader: Reader, _: AsyncExitStack) -> Backend:
    return routed(reader, RoutingLimits(first_token_seconds=60, total_seconds=60))


def two_replicas(reader: Reader, stack: AsyncExitStack) -> Backend:
    backend = RoutedBackend(CARD, [Replica("one", reader), Replica("other", reader)])
    stack.push_async_callback(backend.aclose)
    return backend


def last_stand_in(reader: Reader, _: AsyncExitStack) -> Backend:
    gone = FakeBackend(lambda _: [UnavailableError("gone")])
    return FallbackBackend(gone, [routed(reader)])


def metered(backend: Backend) -> Backend:
    key = ApiKey("alice", "", limits=Limits(tokens_per_minute=1000))
    caller = Caller(key, Limiter(MemoryCounters(), lambda: 0.0))
    return MeteredBackend(backend, caller, RequestContext("alice", may_be_cached=True))


def on_demand(reader: Reader, stack: AsyncExitStack) -> Backend:
    async def opened() -> Reader:
        return reader

    registry = ModelRegistry([KeptModel(CARD, opened)])
    stack.push_async_callback(registry.aclose)
    return registry.resolve(CARD.id)


def looping(reader: Reader, _: AsyncExitStack) -> Backend:
    return FunctionLoop(reader, (), FunctionRunner(5, 1000), max_rounds=2)


def searched() -> tuple[FakeStore, Retriever]:
    store = FakeStore()
    return store, Retriever(store, FakeEmbedder(), score_threshold=0.3)


def held_to_words(reader: Reader, _: AsyncExitStack) -> Backend:
    retriever = searched()[1]
    return SpokenBackend(reader, DocumentSearches(retriever, (), SearchOptions("", 3)))


def everything(reader: Reader, _: AsyncExitStack) -> Backend:
    """As a gateway has them one before the other."""
    within = EmulatingBackend(routed(reader))
    counted = CountedBackend(CachingBackend(within, MemoryAnswers(1000, 60), "1"), Traffic())
    return FunctionLoop(metered(counted), (), FunctionRunner(5, 1000), max_rounds=2)


WRAPPERS: list[tuple[str, Wrap, GenerationRequest]] = [
    ("routed", lambda reader, _: routed(reader), ASKED),
    ("limited", limited, ASKED),
    ("of two replicas", two_replicas, ASKED),
    ("the last stand-in", last_stand_in, ASKED),
    ("with a stand-in", lambda reader, _: FallbackBackend(reader, [FakeBackend()]), ASKED),
    ("counted", lambda reader, _: CountedBackend(reader, Traffic()), ASKED),
    ("cached", lambda reader, _: CachingBackend(reader, MemoryAnswers(1000, 60), "1"), GREEDY),
    ("emulated", lambda reader, _: EmulatingBackend(reader), AS_JSON),
    ("metered", lambda reader, _: metered(reader), ASKED),
    ("on demand", on_demand, ASKED),
    ("renamed", lambda reader, _: RenamedBackend(reader, ["other"]), ASKED),
    ("adapted", lambda reader, _: AdaptedBackend(reader, "dry"), ASKED),
    ("shortened", lambda reader, _: ShorteningBackend(reader), ASKED),
    ("with functions", looping, ASKED),
    ("held to words", held_to_words, ASKED),
    ("all of a gateway", everything, GREEDY),
]


async def seen(backend: Backend, reader: Reader, request: GenerationRequest) -> None:
    """The answer has begun while its prompt is read, and says so; then it is heard out."""
    request = replace(request, journey=Journey())
    async with asyncio.timeout(10), aclosing(backend.generate(request)) as events:
        assert isinstance(await anext(events), Started)
        assert request.journey.progress() == READING
        reader.may_write.set()
        rest = [event async for event in events]
        assert isinstance(rest[-1], Finished)


@pytest.mark.parametrize(
    ("wrap", "request_"),
    [pytest.param(wrap, request, id=name) for name, wrap, request in WRAPPERS],
)
async def test_progress_is_seen_through_each_wrapper(
    wrap: Wrap, request_: GenerationRequest
) -> None:
    card = CHATS if request_ is AS_JSON else replace(CARD, capabilities=ADAPTABLE)
    reader = Reader(card=card)
    async with AsyncExitStack() as stack:
        await seen(wrap(reader, stack), reader, request_)


async def test_progress_is_seen_through_an_answer_from_documents() -> None:
    reader, (store, retriever) = Reader(), searched()
    document = Document("cats", "cats sleep long", "Cats")
    await Ingester(store, FakeEmbedder(), by_lines()).ingest(
        "default", each([document]), lambda _: None
    )
    options = RagOptions(SearchOptions("default", 1, mode="dense"))
    backend = RagBackend(reader, retriever, store, FakeEmbedder(), options)
    await seen(backend, reader, ASKED)
