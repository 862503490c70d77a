import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import count

import pytest

from llm_api.core.errors import OverloadedError, UnavailableError
from llm_api.core.rag import ingest as ingest_module
from llm_api.core.rag import jobs as jobs_module
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.jobs import EndState, IngestJobs, Job, JobList, Work
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.types import Document
from llm_api.core.utils.long_work import to_the_end
from tests.core.rag.fakes import FakeEmbedder, FakeStore, by_lines
from tests.live import PATIENCE_SECONDS


@asynccontextmanager
async def running() -> AsyncGenerator[IngestJobs, None]:
    ids = count(1)
    async with aclosing(IngestJobs(clock=lambda: 7.0, new_id=lambda: f"job_{next(ids)}")) as jobs:
        yield jobs


async def until(jobs: IngestJobs, job_id: str, holds: Callable[[Job], bool]) -> Job:
    while True:
        job = jobs.get(job_id)
        assert job is not None
        if holds(job):
            return job
        await asyncio.sleep(0.001)


async def ended(jobs: IngestJobs, job_id: str) -> Job:
    return await until(jobs, job_id, lambda job: job.has_ended)


async def works(report: Report) -> None:
    report(DocumentOutcome("a", "created", chunks=1))


async def hangs(_: Report) -> None:
    await asyncio.Event().wait()


def fails(error: Exception) -> Work:
    async def work(report: Report) -> None:
        await works(report)
        raise error

    return work


async def test_job_runs_to_its_end() -> None:
    async with running() as jobs:
        created = jobs.create("default", 1, works)
        assert created == Job("job_1", "default", 1, 7.0)
        job = await ended(jobs, created.id)
        assert (job.state, job.done, job.started_at, job.ended_at) == ("done", 1, 7.0, 7.0)


async def test_ingest_as_a_job_counts_documents_and_failures() -> None:
    ingester = Ingester(FakeStore(), FakeEmbedder(), by_lines())
    documents = [Document("a", "x"), Document("b", " "), Document("c", "y")]
    async with running() as jobs:
        created = jobs.create(
            "default", 3, lambda report: ingester.ingest("default", each(documents), report)
        )
        job = await ended(jobs, created.id)
        assert (job.state, job.done) == ("done", 3)
        assert dict(job.failures) == {"b": "There are no words in it."}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnavailableError("The store\nis down."), "The store is down."),
        (ZeroDivisionError("secret"), "An internal error; the log says more."),
    ],
)
async def test_error_of_the_whole_ingest_fails_the_job_and_not_the_next(
    error: Exception, reason: str
) -> None:
    async with running() as jobs:
        first, second = jobs.create("default", 2, fails(error)), jobs.create("default", 1, works)
        job = await ended(jobs, first.id)
        assert (job.state, job.error, job.done) == ("failed", reason, 1)
        assert (await ended(jobs, second.id)).state == "done"


async def test_jobs_run_one_after_the_other() -> None:
    async with running() as jobs:
        first, second = jobs.create("default", 1, hangs), jobs.create("default", 1, works)
        await until(jobs, first.id, lambda job: job.state == "running")
        assert [job.state for job in jobs.all()] == ["queued", "running"]
        await jobs.cancel(first.id)
        assert (await ended(jobs, second.id)).state == "done"


async def test_cancelled_job_does_not_run_on() -> None:
    store = FakeStore(seconds=0.02)
    ingester = Ingester(store, FakeEmbedder(), by_lines())
    count = 4 * ingest_module.WINDOW_DOCUMENTS
    documents = [Document(f"d{number}", f"text {number}") for number in range(count)]
    async with running() as jobs:
        created = jobs.create(
            "default", count, lambda report: ingester.ingest("default", each(documents), report)
        )
        await until(jobs, created.id, lambda _: bool(store.calls))
        await jobs.cancel(created.id)
        job = jobs.get(created.id)
        assert job is not None
        assert (job.state, job.done) == ("cancelled", ingest_module.WINDOW_DOCUMENTS)
        assert len(store.documents()) == ingest_module.WINDOW_DOCUMENTS
        assert store.calls == ["replace"]


async def test_cancelling_a_job_that_waits_or_is_over_is_no_error() -> None:
    async with running() as jobs:
        first, second = jobs.create("default", 1, hangs), jobs.create("default", 1, works)
        await jobs.cancel(second.id)
        await jobs.cancel(second.id)
        await jobs.cancel("unknown")
        await jobs.cancel(first.id)
        assert [job.state for job in jobs.all()] == ["cancelled", "cancelled"]


async def test_closing_cancels_what_runs_and_what_waits() -> None:
    async with running() as jobs:
        for work in (hangs, works, works):
            jobs.create("default", 1, work)
        await asyncio.sleep(0)
    assert [job.state for job in jobs.all()] == ["cancelled"] * 3
    with pytest.raises(UnavailableError):
        jobs.create("default", 1, works)
    await jobs.aclose()


async def test_jobs_close_though_a_write_does_not_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jobs_module, "CLOSE_SECONDS", 0.05)
    never = asyncio.Event()

    async def cannot_be_cancelled(_: Report) -> None:
        await to_the_end(never.wait())

    async with asyncio.timeout(PATIENCE_SECONDS), running() as jobs:
        job = jobs.create("default", 1, cannot_be_cancelled)
        await until(jobs, job.id, lambda job: job.state == "running")
        await asyncio.sleep(0.01)
    assert "left to the store" in caplog.text
    never.set()
    await asyncio.sleep(0.01)


def with_jobs(*ids: str, waiting: int = 10, kept: int = 10) -> JobList:
    jobs = JobList(waiting, kept)
    for time, id_ in enumerate(ids):
        jobs.add(Job(id_, "default", total=2, created_at=time))
    return jobs


def found(jobs: JobList, id_: str) -> Job:
    job = jobs.get(id_)
    assert job is not None
    return job


def test_new_job_waits() -> None:
    jobs = with_jobs("a")
    assert (found(jobs, "a").state, found(jobs, "a").has_ended) == ("queued", False)
    assert jobs.get("b") is None


def test_jobs_are_started_in_the_order_of_their_arrival() -> None:
    jobs = with_jobs("a", "b")
    assert jobs.next_queued() == found(jobs, "a")
    jobs.start("a", now=5)
    assert (found(jobs, "a").state, found(jobs, "a").started_at) == ("running", 5)
    assert jobs.next_queued() == found(jobs, "b")


def test_newest_job_is_listed_first() -> None:
    assert [job.id for job in with_jobs("a", "b").all()] == ["b", "a"]


def test_documents_are_counted_and_failures_kept() -> None:
    jobs = with_jobs("a", "b")
    jobs.note("a", DocumentOutcome("d1", "created", chunks=3, warnings=("Page 2 is empty.",)))
    jobs.note("a", DocumentOutcome("d2", "failed", reason="No words."))
    job = found(jobs, "a")
    assert (job.done, job.total, dict(job.failures)) == (2, 2, {"d2": "No words."})
    assert job.warnings == {"d1": ("Page 2 is empty.",)}
    assert (found(jobs, "b").done, dict(found(jobs, "b").failures)) == (0, {})


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_end_is_final(state: EndState) -> None:
    jobs = with_jobs("a")
    jobs.start("a", now=1)
    jobs.end("a", state, now=2, error="why")
    jobs.end("a", "done", now=3)
    job = found(jobs, "a")
    assert (job.state, job.error, job.ended_at, job.has_ended) == (state, "why", 2, True)


def test_job_that_waits_can_end() -> None:
    jobs = with_jobs("a", "b")
    jobs.end("a", "cancelled", now=1)
    assert jobs.next_queued() == found(jobs, "b")


def test_only_so_many_may_wait() -> None:
    jobs = with_jobs("a", "b", waiting=2)
    with pytest.raises(OverloadedError):
        jobs.add(Job("c", "default", 1, 0))
    jobs.start("a", now=0)
    jobs.add(Job("c", "default", 1, 0))


def test_who_is_turned_away_is_told_what_a_job_takes() -> None:
    jobs = with_jobs("a", waiting=1)
    jobs.start("a", now=10)
    jobs.end("a", "done", now=35)
    jobs.add(Job("b", "default", 1, 0))
    with pytest.raises(OverloadedError) as refusal:
        jobs.add(Job("c", "default", 1, 0))
    assert refusal.value.retry_after_seconds == 25


def test_jobs_that_ended_first_are_forgotten_first() -> None:
    jobs = with_jobs("a", "b", "c", kept=1)
    jobs.end("b", "cancelled", now=1)
    jobs.end("a", "cancelled", now=2)
    assert [job.id for job in jobs.all()] == ["c", "a"]
    jobs.end("b", "done", now=3)
    assert jobs.get("b") is None
