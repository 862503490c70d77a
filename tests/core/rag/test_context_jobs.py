"""Evals with lines that place chunks: written block by block, tried, and kept where they help."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import ChatPrompt, GenerationRequest
from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.eval_jobs import EvalJob, EvalPlan
from llm_api.core.rag.eval_runner import running_evals
from llm_api.core.rag.filters import EVERYTHING
from llm_api.core.rag.ingest import each
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import DocumentRecord
from tests.core.rag.fakes import open_retrieval, writing_by
from tests.fakes import FakeBackend, Step, spoken
from tests.live import PATIENCE_SECONDS

NAMES = "amber birch cedar delta ember fjord grove heath inlet jetty knoll ledge".split()  # noqa: SIM905
DETAIL = "It was opened long ago and is closed on Mondays; whoever comes later may ask next door."
QUESTIONS = {f"when is the {name} museum closed": {name: 1} for name in NAMES}
PLAN = EvalPlan("default", 0, 10, applies=True, model="m", contexts=100, given=QUESTIONS)
CHUNKS = 2
"""Of each document."""
ALL = SearchOptions("default", 100, score_threshold=-1.0)


def document(name: str, detail: str = DETAIL) -> Document:
    """Some chunks, of which none says whose it is; nor does the title, but for its first letter."""
    return Document(name, f"{detail} {detail}", name[:1])


def names_it(request: GenerationRequest) -> Iterable[Step]:
    assert isinstance(request.prompt, ChatPrompt)
    name = next(one for one in NAMES if f'name="{one[0]}"' in request.prompt.messages[0].content)
    return spoken(f"When the {name} museum is closed.")


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(names_it)


@pytest.fixture
async def retrieval(backend: FakeBackend) -> AsyncGenerator[Retrieval, None]:
    async with open_retrieval(backend=backend, chunks=ChunkSettings(20, 0)) as retrieval:
        await retrieval.ingest("default", each(map(document, NAMES)), lambda _: None)
        yield retrieval


@pytest.fixture
async def idle_retrieval() -> AsyncGenerator[Retrieval, None]:
    """Where nobody runs evals."""
    async with open_retrieval(chunks=ChunkSettings(20, 0)) as retrieval:
        await retrieval.ingest("default", each(map(document, NAMES)), lambda _: None)
        yield retrieval


async def ended(retrieval: Retrieval, job: EvalJob) -> EvalJob:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while job.state in ("queued", "running"):
            await asyncio.sleep(0.02)
            job = await retrieval.evals.get("alice", job.id)
    return job


async def run(retrieval: Retrieval, plan: EvalPlan = PLAN) -> EvalJob:
    return await ended(retrieval, await retrieval.evals.create("alice", retrieval.store, plan))


async def records(retrieval: Retrieval) -> tuple[DocumentRecord, ...]:
    return (await retrieval.store.list_documents("default", EVERYTHING, None, 100)).documents


async def test_lines_that_help_are_kept_and_chunks_stay_as_they_are(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    question = next(iter(QUESTIONS))
    before = {hit.chunk for hit in await retrieval.retriever.search(question, ALL)}
    job = await run(retrieval)
    assert (job.state, job.error) == ("done", "")
    assert job.result is not None
    gain = job.result.contexts
    assert gain is not None
    assert gain.is_better
    assert gain.is_applied
    assert gain.questions == len(NAMES)
    assert gain.lines == gain.chunks == len(backend.requests)
    assert gain.tokens.cached == 2 * gain.lines
    assert sum(one.lines for one in await records(retrieval)) == gain.lines
    assert {hit.chunk for hit in await retrieval.retriever.search(question, ALL)} == before
    best, *_ = await retrieval.retriever.search("closed amber museum", ALL)
    assert best.chunk.document_id == "amber"


async def test_lines_that_do_not_help_are_dropped_and_that_is_said(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("Something is said here of something.")
    job = await run(retrieval)
    assert job.result is not None
    gain = job.result.contexts
    assert gain is not None
    assert not gain.is_better
    assert not gain.is_applied
    assert not any(one.lines for one in await records(retrieval))


async def test_document_that_is_stored_again_keeps_its_lines_and_one_that_changes_loses_them(
    retrieval: Retrieval,
) -> None:
    await run(retrieval)
    again = [document(NAMES[0]), document(NAMES[1], "Other words stand here now.")]
    outcomes: list[str] = []
    await retrieval.ingest("default", each(again), lambda one: outcomes.append(one.what))
    assert sorted(outcomes) == ["replaced", "unchanged"]
    lines = {one.id: one.lines for one in await records(retrieval)}
    assert lines[NAMES[0]] > 0
    assert lines[NAMES[1]] == 0
    job = await retrieval.evals.create("alice", retrieval.store, PLAN)  # for that one alone
    assert job.total == 2  # a block of lines, and the evaluation
    await ended(retrieval, job)


async def test_document_that_changes_while_lines_are_written_is_not_overwritten(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    def slowly(request: GenerationRequest) -> Iterable[Step]:
        return [0.03, *names_it(request)]

    backend.script = slowly
    job = await retrieval.evals.create("alice", retrieval.store, PLAN)
    while len(backend.requests) < len(NAMES):
        await asyncio.sleep(0.01)
    changed = [document(name, "Other words stand here now.") for name in NAMES[:2]]
    await retrieval.ingest("default", each(changed), lambda _: None)
    await retrieval.store.delete_documents("default", [NAMES[2]])
    assert (await ended(retrieval, job)).state == "done"
    texts = [(await retrieval.store.read_document("default", name)).text for name in NAMES[:2]]
    assert texts == [one.text for one in changed]
    assert NAMES[2] not in {one.id for one in await records(retrieval)}


async def test_other_evals_do_not_wait_for_lines(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    def never_places(request: GenerationRequest) -> Iterable[Step]:
        assert isinstance(request.prompt, ChatPrompt)
        if "<part>" in request.prompt.messages[-1].content:
            return [600.0]
        return spoken("What is said there?")

    backend.script = never_places
    placing = await retrieval.evals.create("alice", retrieval.store, PLAN)
    drafting = replace(PLAN, given={}, questions=10, contexts=0, applies=False)
    assert (await run(retrieval, drafting)).state == "done"
    assert (await retrieval.evals.get("alice", placing.id)).state == "running"
    assert (await ended(retrieval, await retrieval.evals.cancel("alice", placing.id))).state == (
        "cancelled"
    )


async def test_job_goes_on_behind_a_stop_with_the_lines_that_it_has_written(
    idle_retrieval: Retrieval,
) -> None:
    turns = itertools.count()
    stuck = FakeBackend(lambda request: [600.0] if next(turns) == 10 else names_it(request))
    state = idle_retrieval.evals._state
    created = await idle_retrieval.evals.create("alice", idle_retrieval.store, PLAN)
    async with running_evals(state, lambda _: idle_retrieval, writing_by(stuck)):
        while len(stuck.requests) < 11:
            await asyncio.sleep(0.01)
    left = await idle_retrieval.evals.get("alice", created.id)
    assert left.done == 10 // CHUNKS
    backend = FakeBackend(names_it)
    async with running_evals(state, lambda _: idle_retrieval, writing_by(backend)):
        job = await ended(idle_retrieval, created)
    assert job.result is not None
    assert job.result.contexts is not None
    assert job.result.contexts.lines == CHUNKS * len(NAMES)
    assert len(backend.requests) == CHUNKS * (len(NAMES) - left.done)


async def test_drafted_questions_are_enough_where_they_differ(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    def drafts_too(request: GenerationRequest) -> Iterable[Step]:
        assert isinstance(request.prompt, ChatPrompt)
        if "<part>" in request.prompt.messages[-1].content:
            return names_it(request)
        return spoken("What is said there?")

    backend.script = drafts_too
    job = await run(retrieval, replace(PLAN, given={}, questions=12))
    assert job.state == "failed"
    assert job.error == "To try lines takes 10 different questions, here are 1."
    assert not any(one.lines for one in await records(retrieval))


async def test_only_as_many_chunks_are_taken_as_are_asked_for(retrieval: Retrieval) -> None:
    (first, *_) = await records(retrieval)
    asked = replace(PLAN, contexts=first.chunks * 3)
    job = await run(retrieval, replace(asked, applies=False))
    assert job.result is not None
    assert job.result.contexts is not None
    assert job.result.contexts.chunks == first.chunks * 3
    with pytest.raises(InvalidRequestError, match="has more than 1 chunks"):
        await retrieval.evals.create("alice", retrieval.store, replace(PLAN, contexts=1))
