"""Models as one caller reaches them: its context, and its tokens."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from llm_api.core.access.caller import Caller
from llm_api.core.access.counters import MemoryCounters
from llm_api.core.access.keys import ApiKey, Limits
from llm_api.core.access.limiter import Limiter
from llm_api.core.access.metered import MeteredBackend, MeteredEmbedder, MeteredReranker
from llm_api.core.embeddings.embedder import (
    EmbeddingRequest,
    Embeddings,
    TokenCounter,
    TokenIds,
)
from llm_api.core.embeddings.reranker import RerankRequest
from llm_api.core.errors import GenerationError, InvalidRequestError, RateLimitedError
from llm_api.core.llm.collect import used_after
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    Message,
    Prompt,
    ReasoningDelta,
    RequestContext,
    Started,
    TextDelta,
    TextPrompt,
    TokenPrompt,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.core.embeddings.fake_encoder import FakeEncoder, fake_embedder
from tests.core.embeddings.fake_reranker import FakeReranker
from tests.fakes import FakeBackend, Step, endless, spoken

LIMIT = 1000
CONTEXT = RequestContext("alice", is_whole=True, may_be_cached=True)


@pytest.fixture
def caller() -> Caller:
    key = ApiKey("alice", "", limits=Limits(tokens_per_minute=LIMIT))
    return Caller(key, Limiter(MemoryCounters(), lambda: 0.0))


def used(caller: Caller) -> int:
    standing = caller.standing("tokens")
    assert standing is not None
    return LIMIT - standing.remaining


async def generate(
    caller: Caller, steps: list[Step], prompt: Prompt | None = None, max_tokens: int = 10
) -> FakeBackend:
    backend = FakeBackend(lambda _: steps)
    request = GenerationRequest(prompt or TextPrompt("Once"), max_tokens)
    async for _ in MeteredBackend(backend, caller, CONTEXT).generate(request):
        pass
    return backend


async def test_a_backend_is_asked_in_the_context_of_the_request(caller: Caller) -> None:
    backend = await generate(caller, spoken("a"))
    assert backend.requests[0].context == CONTEXT


@pytest.mark.parametrize(
    ("prompt", "reserved"),
    [
        (TextPrompt("x" * 60), 30),
        (TextPrompt("ж" * 30), 30),
        (TokenPrompt(tuple(range(7))), 17),
        (ChatPrompt((Message("user", "x" * 60), Message("assistant", "y" * 9))), 33),
    ],
)
async def test_the_most_an_answer_may_take_is_counted_while_it_runs(
    caller: Caller, prompt: Prompt, reserved: int
) -> None:
    request = GenerationRequest(prompt, max_tokens=10)
    async with aclosing(MeteredBackend(FakeBackend(), caller, CONTEXT).generate(request)) as events:
        await anext(events)
        assert used(caller) == reserved


@pytest.mark.parametrize(
    ("limits", "bound"),
    [
        (Limits(), None),
        (Limits(requests_per_minute=9), None),
        (Limits(tokens_per_minute=100), 25),
        (Limits(tokens_per_minute=100, tokens_per_day=80), 20),
        (Limits(tokens_per_day=3), 1),
    ],
)
async def test_an_answer_without_a_bound_gets_one_where_its_tokens_are_limited(
    limits: Limits, bound: int | None
) -> None:
    caller = Caller(ApiKey("k", "", limits=limits), Limiter(MemoryCounters(), lambda: 0.0))
    backend = FakeBackend()
    metered = MeteredBackend(backend, caller, CONTEXT)
    [_ async for _ in metered.generate(GenerationRequest(TextPrompt("Hi"), None))]
    assert [request.max_tokens for request in backend.requests] == [bound]


async def test_a_finished_answer_counts_as_its_usage(caller: Caller) -> None:
    await generate(caller, [Started(5), TextDelta("a"), Finished("stop", Usage(5, 3))])
    assert used(caller) == 8


async def test_an_answer_that_is_left_counts_its_prompt_and_its_pieces(caller: Caller) -> None:
    steps: list[Step] = [
        Started(5),
        ReasoningDelta("a"),
        TextDelta("b"),
        ToolCallStarted(0, "c", "f"),
        ToolCallDelta(0, "{}"),
        TextDelta("never asked for"),
    ]
    backend = FakeBackend(lambda _: steps)
    generation = MeteredBackend(backend, caller, CONTEXT).generate(
        GenerationRequest(TextPrompt("a"), 100)
    )
    for _ in range(5):
        await anext(generation)
    await generation.aclose()
    assert used(caller) == 9
    assert backend.aborted


async def test_an_answer_that_fails_counts_as_far_as_it_came(caller: Caller) -> None:
    with pytest.raises(GenerationError):
        await generate(caller, [Started(5), TextDelta("b"), GenerationError("x")])
    assert used(caller) == 6


async def test_a_refused_request_counts_nothing(caller: Caller) -> None:
    with pytest.raises(InvalidRequestError):
        await generate(caller, [InvalidRequestError("x")])
    assert used(caller) == 0


async def test_a_cancelled_answer_is_settled(caller: Caller) -> None:
    backend = FakeBackend(endless)
    metered = MeteredBackend(backend, caller, CONTEXT)

    async def run() -> None:
        async for _ in metered.generate(GenerationRequest(TextPrompt("a"), 500)):
            pass

    task = asyncio.create_task(run())
    while used_or_zero(caller) < 500:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert used(caller) < 100


def used_or_zero(caller: Caller) -> int:
    return used(caller) if caller.standing("tokens") else 0


async def test_an_answer_that_has_begun_goes_on_beyond_the_limit(caller: Caller) -> None:
    steps: list[Step] = [Started(1), Finished("stop", Usage(1, LIMIT - 10))]
    metered = MeteredBackend(FakeBackend(lambda _: steps), caller, CONTEXT)
    for _ in range(2):
        async for _event in metered.generate(GenerationRequest(TextPrompt("a"), 500)):
            pass
    with pytest.raises(RateLimitedError):
        await generate(caller, [], max_tokens=1)


async def test_a_backend_counts_tokens_as_it_does_by_itself(caller: Caller) -> None:
    class Counting(FakeBackend):
        async def count_tokens(self, texts: Sequence[str]) -> list[int]:
            return [7 for _ in texts]

    assert await MeteredBackend(Counting(), caller, CONTEXT).count_tokens(["a", "b"]) == [7, 7]


async def test_beyond_the_limit_the_backend_is_not_asked(caller: Caller) -> None:
    with pytest.raises(RateLimitedError):
        await generate(caller, [], max_tokens=LIMIT + 1)
    backend = FakeBackend()
    metered = MeteredBackend(backend, caller, CONTEXT)
    with pytest.raises(RateLimitedError):
        await anext(metered.generate(GenerationRequest(TextPrompt("a"), LIMIT + 1)))
    assert backend.requests == []


async def test_embeddings_are_made_in_the_scope_of_the_key_and_counted(caller: Caller) -> None:
    metered = MeteredEmbedder(fake_embedder(FakeEncoder()), caller)
    embeddings = await metered.embed(EmbeddingRequest(["Once upon a time"]))
    assert used(caller) == embeddings.tokens > 0


async def test_an_embedding_that_is_refused_counts_nothing(caller: Caller) -> None:
    metered = MeteredEmbedder(fake_embedder(FakeEncoder()), caller)
    with pytest.raises(InvalidRequestError):
        await metered.embed(EmbeddingRequest([""]))
    assert used(caller) == 0
    with pytest.raises(RateLimitedError):
        await metered.embed(EmbeddingRequest([TokenIds(tuple(range(LIMIT + 1)))]))


class HoldsBack(FakeBackend):
    """Answers only as a whole, and tells the meter what it has by then."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        async for event in super().generate(request):
            request.meter.tokens = used_after(event, request.meter.tokens)
        yield Started(1)


async def test_an_answer_that_is_held_back_and_left_counts_what_was_computed(
    caller: Caller,
) -> None:
    backend = HoldsBack(lambda _: [*spoken("a", "b", prompt_tokens=5)[:-1], 60.0])
    request = GenerationRequest(TextPrompt("a"), 500)
    task = asyncio.ensure_future(anext(MeteredBackend(backend, caller, CONTEXT).generate(request)))
    while not backend.requests or backend.requests[0].meter.tokens < 7:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert used(caller) == 5 + 2


class NeverReady:
    """An embedder that has read 30 tokens by the time that its client leaves."""

    card = fake_embedder(FakeEncoder()).card

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        request.meter.tokens += 30
        await asyncio.sleep(60)
        raise AssertionError("nobody waits for this")

    async def token_counter(self) -> TokenCounter:
        return lambda texts: [len(text) for text in texts]

    async def aclose(self) -> None:
        pass


async def test_an_embedding_that_is_left_counts_what_was_computed(caller: Caller) -> None:
    request = EmbeddingRequest(["Once upon a time"] * 50)
    task = asyncio.create_task(MeteredEmbedder(NeverReady(), caller).embed(request))
    await asyncio.sleep(0.01)
    assert used(caller) > 30, "the most it may take is reserved"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert used(caller) == 30


async def test_texts_that_are_judged_count_as_the_model_has_read_them(caller: Caller) -> None:
    reranker = MeteredReranker(FakeReranker(), caller)
    await reranker.judge(RerankRequest("cat", ["a cat", "a dog"]))
    assert used(caller) == 7


async def test_texts_beyond_the_limit_are_not_judged(caller: Caller) -> None:
    reranker = FakeReranker()
    with pytest.raises(RateLimitedError):
        await MeteredReranker(reranker, caller).judge(RerankRequest("cat", ["x" * 3 * LIMIT]))
    assert reranker.asked == []
