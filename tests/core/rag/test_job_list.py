import pytest

from llm_api.core.errors import OverloadedError
from llm_api.core.rag.job_list import EndState, Job, JobList
from llm_api.core.rag.outcome import DocumentOutcome


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
