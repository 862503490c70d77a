"""Evals whose questions a model drafts: each is kept at once, then all are evaluated."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterable

import pytest

from llm_api.core.errors import InvalidRequestError, JobNotFoundError, ModelNotFoundError
from llm_api.core.llm.types import ChatPrompt, GenerationRequest
from llm_api.core.rag.eval_jobs import EvalJob, EvalPlan
from llm_api.core.rag.ingest import each
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Document
from tests.core.rag.fakes import open_retrieval
from tests.fakes import FakeBackend, Step, spoken
from tests.live import PATIENCE_SECONDS

WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll ledge".split()  # noqa: SIM905
PLAN = EvalPlan("default", 12, 10, applies=True, model="m")


def document(number: int) -> Document:
    word = WORDS[number]
    return Document(word, f"This is what there is to say of {word} and {word}s in all.")


def asks_for_the_rarest_word(request: GenerationRequest) -> Iterable[Step]:
    assert isinstance(request.prompt, ChatPrompt)
    passage = request.prompt.messages[-1].content
    word = next(one for one in WORDS if one in passage)
    return spoken(f"What about {word}?")


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(asks_for_the_rarest_word)


@pytest.fixture
async def retrieval(backend: FakeBackend) -> AsyncGenerator[Retrieval, None]:
    async with open_retrieval(backend=backend) as retrieval:
        documents = each(document(number) for number in range(len(WORDS)))
        await retrieval.ingest("default", documents, lambda _: None)
        yield retrieval


async def ended(retrieval: Retrieval, job: EvalJob, owner: str = "alice") -> EvalJob:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while job.state in ("queued", "running"):
            await asyncio.sleep(0.02)
            job = await retrieval.evals.get(owner, job.id)
    return job


async def test_question_is_drafted_for_each_document_and_all_are_evaluated(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    created = await retrieval.evals.create("alice", retrieval.store, PLAN)
    assert (created.state, created.total, created.result) == ("queued", 13, None)
    job = await ended(retrieval, created)
    assert (job.state, job.done, job.error) == ("done", 13, "")
    assert {(one.question, one.document_id) for one in job.drafted} == {
        (f"What about {word}?", word) for word in WORDS
    }
    assert len(backend.requests) == len(WORDS)
    assert job.result is not None
    assert job.result.evals.comparison.qualities["sparse"].ndcg == 1.0
    tuning = job.result.evals.tuning
    assert tuning is not None
    assert tuning.questions == 12
    assert job.result.is_applied == tuning.is_better
    assert (await retrieval.store.read_tuning("default") is not None) == tuning.is_better


async def test_few_documents_are_asked_about_again(retrieval: Retrieval) -> None:
    await retrieval.ingest("small", each([document(0), document(1)]), lambda _: None)
    plan = EvalPlan("small", 10, 10, applies=False, model="m")
    job = await ended(retrieval, await retrieval.evals.create("alice", retrieval.store, plan))
    assert sorted(one.document_id for one in job.drafted) == ["amber"] * 5 + ["birch"] * 5
    assert job.result is not None
    assert job.result.evals.tuning is None  # they are but two different questions


async def test_job_goes_on_without_what_the_model_does_not_write(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    turns = itertools.count()
    odd: list[list[Step]] = [
        spoken(""),
        spoken("What about amber", reason="length"),
        [ModelNotFoundError("gone")],
    ]
    backend.script = lambda request: (
        odd[turn] if (turn := next(turns)) < 3 else asks_for_the_rarest_word(request)
    )
    job = await ended(retrieval, await retrieval.evals.create("alice", retrieval.store, PLAN))
    assert (job.state, job.done, len(job.drafted)) == ("done", 13, 9)
    assert job.result is None or job.result.evals.tuning is None


async def test_model_that_writes_no_question_fails_the_job(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("no")
    plan = EvalPlan("default", 10, 10, applies=False, model="m")
    job = await ended(retrieval, await retrieval.evals.create("alice", retrieval.store, plan))
    assert (job.state, job.error) == (
        "failed",
        "The model has written no question that can be asked.",
    )


async def test_job_that_is_cancelled_keeps_what_was_drafted(
    retrieval: Retrieval, backend: FakeBackend
) -> None:
    turns = itertools.count()
    backend.script = lambda request: [
        float(600 * (next(turns) > 0)),
        *asks_for_the_rarest_word(request),
    ]
    job = await retrieval.evals.create("alice", retrieval.store, PLAN)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (await retrieval.evals.get("alice", job.id)).drafted:
            await asyncio.sleep(0.02)
    job = await ended(retrieval, await retrieval.evals.cancel("alice", job.id))
    assert (job.state, len(job.drafted), job.result) == ("cancelled", 1, None)


async def test_job_is_its_owners_and_no_ingest(retrieval: Retrieval) -> None:
    job = await ended(retrieval, await retrieval.evals.create("alice", retrieval.store, PLAN))
    for look in (retrieval.evals.get, retrieval.evals.cancel):
        with pytest.raises(JobNotFoundError):
            await look("bob", job.id)
    for look_of_ingests in (retrieval.jobs.get, retrieval.jobs.cancel):
        with pytest.raises(JobNotFoundError):
            await look_of_ingests("alice", job.id)
    assert await retrieval.jobs.all("alice") == []


async def test_empty_collection_has_nothing_to_ask_about(retrieval: Retrieval) -> None:
    described = await retrieval.store.describe_collection("default")
    await retrieval.store.create_collection("empty", described.embedding)
    with pytest.raises(InvalidRequestError, match="no document in 'empty'"):
        await retrieval.evals.create(
            "alice", retrieval.store, EvalPlan("empty", 10, 10, False, "m")
        )
