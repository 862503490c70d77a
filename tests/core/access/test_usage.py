"""What keys use: counted in memory, by day, and written down in batches."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date
from pathlib import Path

import pytest

from llm_api.core.access import usage
from llm_api.core.access.caller import Caller
from llm_api.core.access.counters import MemoryCounters
from llm_api.core.access.keys import ApiKey
from llm_api.core.access.limiter import Limiter
from llm_api.core.access.metered import MeteredBackend, MeteredEmbedder, MeteredReranker
from llm_api.core.access.usage import UsageBook, UsageReport, keeping_usage
from llm_api.core.embeddings.embedder import EmbeddingRequest
from llm_api.core.embeddings.reranker import RerankRequest
from llm_api.core.errors import GenerationError
from llm_api.core.llm.types import GenerationRequest, RequestContext, Started, TextDelta, TextPrompt
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import UsageDay
from llm_api.core.state.state import State
from tests.core.access.conftest import Clock
from tests.core.embeddings.fake_encoder import EMBEDDING_ID, FakeEncoder, fake_embedder
from tests.core.embeddings.fake_reranker import FakeReranker
from tests.costs import least_seconds
from tests.fakes import MODEL_ID, FakeBackend, spoken

DAY = date(2023, 11, 14)  # of the clock
CONTEXT = RequestContext("alice", is_whole=True)
REQUEST = GenerationRequest(TextPrompt("Once"), 10)


@pytest.fixture
def book(clock: Clock) -> UsageBook:
    return UsageBook(clock)


@pytest.fixture
def caller(book: UsageBook) -> Caller:
    return Caller(ApiKey("alice", ""), Limiter(MemoryCounters()), book)


@pytest.fixture
async def state(tmp_path: Path) -> AsyncGenerator[State, None]:
    async with aclosing(State(StateOptions(tmp_path / "state"))) as state:
        yield state


async def answered(backend: MeteredBackend) -> None:
    async with aclosing(backend.generate(REQUEST)) as events:
        async for _ in events:
            pass


async def test_an_answer_counts_as_it_ended(caller: Caller, book: UsageBook) -> None:
    backend = FakeBackend(lambda _: spoken("a", "b", "c", prompt_tokens=7))
    await answered(MeteredBackend(backend, caller, CONTEXT))
    assert book.take() == [UsageDay(DAY, "alice", MODEL_ID, "generate", 1, 7, 3, 2)]
    assert book.take() == []


async def test_rounds_of_one_request_are_one_request(caller: Caller, book: UsageBook) -> None:
    backend = MeteredBackend(FakeBackend(), caller, CONTEXT)
    await answered(backend)
    await answered(backend)
    [used] = book.take()
    assert (used.requests, used.prompt_tokens, used.completion_tokens) == (1, 10, 6)


async def test_an_answer_that_is_cut_or_fails_counts_what_came(
    caller: Caller, book: UsageBook
) -> None:
    backend = FakeBackend(lambda _: [Started(7), TextDelta("a"), GenerationError("broken")])
    with pytest.raises(GenerationError):
        await answered(MeteredBackend(backend, caller, CONTEXT))
    [used] = book.take()
    assert (used.prompt_tokens, used.completion_tokens) == (7, 1)


async def test_what_is_embedded_and_judged_counts_by_its_model(
    caller: Caller, book: UsageBook
) -> None:
    async with aclosing(fake_embedder(FakeEncoder())) as embedder:
        metered = MeteredEmbedder(embedder, caller)
        for _ in range(2):
            await metered.embed(EmbeddingRequest(("one two", "three")))
    await MeteredReranker(FakeReranker(), caller).judge(RerankRequest("a", ("b", "c")))
    embedded, judged = book.take()
    assert (embedded.model, embedded.kind, embedded.requests) == (EMBEDDING_ID, "embed", 1)
    assert embedded.prompt_tokens > 0
    assert (judged.kind, judged.requests) == ("rerank", 1)


async def test_what_is_used_belongs_to_the_day_on_which_it_ends(
    caller: Caller, book: UsageBook, clock: Clock
) -> None:
    await answered(MeteredBackend(FakeBackend(), caller, CONTEXT))
    clock.now += 86_400
    await answered(MeteredBackend(FakeBackend(), caller, CONTEXT))
    assert [one.day.day for one in book.take()] == [14, 15]


async def test_report_knows_what_has_just_been_counted(
    caller: Caller, book: UsageBook, state: State
) -> None:
    report = UsageReport(book, state)
    await answered(MeteredBackend(FakeBackend(), caller, CONTEXT))
    assert [one.requests for one in await report.of("alice", 1)] == [1]
    assert await report.of("bob", 1) == []


async def test_what_waits_is_written_down_by_itself_and_at_the_end(
    caller: Caller, book: UsageBook, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "WRITE_SECONDS", 0.01)
    rows = await state.usage()
    async with keeping_usage(book, state):
        await answered(MeteredBackend(FakeBackend(), caller, CONTEXT))
        async with asyncio.timeout(30):
            while not await rows.between(DAY, DAY):
                await asyncio.sleep(0.01)
        monkeypatch.setattr(usage, "WRITE_SECONDS", 1000.0)
        await answered(MeteredBackend(FakeBackend(), caller, CONTEXT))
    assert [one.requests for one in await rows.between(DAY, DAY)] == [2]


async def test_a_write_that_is_cancelled_counts_once(
    caller: Caller, book: UsageBook, state: State
) -> None:
    await state.usage()
    report = UsageReport(book, state)
    await answered(MeteredBackend(FakeBackend(), caller, CONTEXT))
    writing = asyncio.create_task(report.write_down())
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert [one.requests for one in await report.of("alice", 1)] == [1]


async def test_what_cannot_be_written_waits(
    caller: Caller, book: UsageBook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    folder.write_text("a file where the folder belongs")
    async with aclosing(State(StateOptions(folder))) as state:
        report = UsageReport(book, state)
        for _ in range(2):
            await answered(MeteredBackend(FakeBackend(), caller, CONTEXT))
            await report.write_down()
        folder.unlink()
        assert [one.requests for one in await report.of("alice", 1)] == [2]
    told = [one for one in caplog.records if one.name == usage.__name__]
    assert len(told) == 1


async def test_where_nothing_is_counted_the_state_stays_closed(tmp_path: Path) -> None:
    state = State(StateOptions(tmp_path / "state"))
    async with keeping_usage(None, state) as report:
        assert (report.is_counted, await report.of("alice", 30)) == (False, [])
    assert not (tmp_path / "state").exists()


async def test_a_count_costs_next_to_nothing(book: UsageBook) -> None:
    async def count() -> None:
        for _ in range(1000):
            book.count("alice", MODEL_ID, "generate", requests=1, prompt_tokens=5)

    assert await least_seconds(count) < 0.1  # 0.1 ms each; it is a twentieth of that
