import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from llm_api.core.embeddings.embedder import EmbeddingRequest, Embeddings
from llm_api.core.errors import (
    JobNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    UnavailableError,
)
from llm_api.core.rag import ingest as ingest_module
from llm_api.core.rag.files import FileToIngest
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.ingest import each
from llm_api.core.rag.job_runner import RetrievalOf, running_jobs
from llm_api.core.rag.jobs import MAX_WAITING, IngestJobs, Job, file_input, text_input
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.rights import EVERY_DOCUMENT, DocumentRights
from llm_api.core.rag.types import Document
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import JobInput
from llm_api.core.state.state import State
from llm_api.core.utils import background_loop
from tests.core.rag.fakes import FakeEmbedder, FakeStore, retrieval_over
from tests.live import PATIENCE_SECONDS

OWNER = "alice"
WINDOW = ingest_module.WINDOW_DOCUMENTS


class HangingEmbedder(FakeEmbedder):
    """Never comes to an end with documents that stand after the second window."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        if any(int(str(text).split()[-1]) >= 2 * WINDOW for text in request.inputs):
            await asyncio.Event().wait()
        return await super().embed(request)


@dataclass
class Library:
    """Jobs over one store. `folder` is that of their state."""

    folder: Path
    store: FakeStore = field(default_factory=FakeStore)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)

    @asynccontextmanager
    async def process(
        self,
        retrieval_of: RetrievalOf | None = None,
        *,
        runs: bool = True,
        rights: DocumentRights = EVERY_DOCUMENT,
    ) -> AsyncGenerator[IngestJobs, None]:
        """What one process does with the jobs, until it stops."""
        ids, ticks = count(1), count(7)
        async with AsyncExitStack() as stack:
            state = State(StateOptions(self.folder))
            stack.push_async_callback(state.aclose)
            loader = await stack.enter_async_context(FileLoader())
            retrieval = retrieval_over(self.store, self.embedder, loader, state)
            if runs:
                await stack.enter_async_context(
                    running_jobs(state, retrieval_of or (lambda _: retrieval.within(rights)))
                )
            yield IngestJobs(
                state, clock=lambda: float(next(ticks)), new_id=lambda: f"job_{next(ids)}"
            )


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


async def submit(jobs: IngestJobs, *documents: Document) -> Job:
    return await jobs.create(OWNER, "default", "texts", each(map(text_input, documents)))


def documents(number: int) -> list[Document]:
    return [Document(f"d{n}", f"text {n}", metadata={"n": n}) for n in range(number)]


async def until(jobs: IngestJobs, job_id: str, holds: Callable[[Job], bool]) -> Job:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds(job := await jobs.get(OWNER, job_id)):
            await asyncio.sleep(0.005)
        return job


async def ended(jobs: IngestJobs, job_id: str) -> Job:
    return await until(jobs, job_id, lambda job: job.state not in ("queued", "running"))


async def test_job_runs_to_its_end_and_counts_documents_and_failures(library: Library) -> None:
    given = Document("a", "x", "Title", {"n": 1}), Document("b", " "), Document("c", "y")
    async with library.process() as jobs:
        created = await submit(jobs, *given)
        assert created == Job("job_1", "default", 3, 7.0)
        job = await ended(jobs, created.id)
    assert (job.state, job.done, job.total) == ("done", 3, 3)
    assert job.failures == {"b": "There are no words in it."}
    assert None not in (job.started_at, job.ended_at)
    assert library.store.documents()["a"].document == given[0]


async def test_files_of_a_job_are_read_with_what_was_said_of_them(library: Library) -> None:
    async def read() -> bytes:
        return "Grüße".encode("latin-1")

    file = FileToIngest("a.txt", read, {"topic": "x"}, "latin-1")
    async with library.process() as jobs:
        created = await jobs.create(OWNER, "default", "files", each([await file_input(file)]))
        assert (await ended(jobs, created.id)).state == "done"
    stored = library.store.documents()["a.txt"].document
    assert (stored.text, stored.metadata["topic"]) == ("Grüße", "x")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnavailableError("The store\nis down."), "The store is down."),
        (ZeroDivisionError("secret"), "An internal error; the log says more."),
    ],
)
async def test_error_of_the_whole_ingest_fails_the_job_and_not_the_next(
    library: Library, error: Exception, reason: str
) -> None:
    library.embedder.failures["bad"] = error
    async with library.process() as jobs:
        first = await submit(jobs, Document("a", "bad"))
        second = await submit(jobs, Document("b", "good"))
        job = await ended(jobs, first.id)
        assert (job.state, job.error) == ("failed", reason)
        assert (await ended(jobs, second.id)).state == "done"


async def test_jobs_run_one_after_the_other(library: Library) -> None:
    library.embedder = HangingEmbedder()
    async with library.process() as jobs:
        first = await submit(jobs, Document("never", f"text {2 * WINDOW}"))
        second = await submit(jobs, *documents(2))
        await until(jobs, first.id, lambda job: job.state == "running")
        assert [job.state for job in await jobs.all(OWNER)] == ["queued", "running"]
        await jobs.cancel(OWNER, first.id)
        assert (await ended(jobs, second.id)).state == "done"


async def test_cancelled_job_does_not_run_on(library: Library) -> None:
    library.embedder = HangingEmbedder()
    async with library.process() as jobs:
        created = await submit(jobs, *documents(4 * WINDOW))
        await until(jobs, created.id, lambda job: job.done >= WINDOW)
        job = await jobs.cancel(OWNER, created.id)
        assert job.state == "cancelled"
        assert WINDOW <= job.done == len(library.store.documents()) <= 2 * WINDOW


async def test_cancelling_a_job_that_waits_or_is_over_is_no_error(library: Library) -> None:
    async with library.process(runs=False) as jobs:
        created = await submit(jobs, *documents(1))
        assert (await jobs.cancel(OWNER, created.id)).state == "cancelled"
        assert (await jobs.cancel(OWNER, created.id)).state == "cancelled"
        with pytest.raises(JobNotFoundError):
            await jobs.cancel(OWNER, "unknown")


async def test_another_process_answers_for_a_job_and_cancels_it(library: Library) -> None:
    library.embedder = HangingEmbedder()
    async with library.process() as jobs, library.process(runs=False) as others:
        created = await submit(jobs, *documents(4 * WINDOW))
        await until(others, created.id, lambda job: job.state == "running")
        assert (await others.cancel(OWNER, created.id)).state == "cancelled"


async def test_jobs_of_others_do_not_exist(library: Library) -> None:
    async with library.process() as jobs:
        created = await submit(jobs, *documents(1))
        assert await jobs.all("bob") == []
        for look in (jobs.get, jobs.cancel):
            with pytest.raises(JobNotFoundError):
                await look("bob", created.id)
        assert (await ended(jobs, created.id)).state == "done"


async def test_job_goes_on_in_the_next_process_with_what_is_left(library: Library) -> None:
    library.embedder = HangingEmbedder()
    bad, total = Document("bad", " "), 4 * WINDOW
    async with library.process() as jobs:
        created = await submit(jobs, bad, *documents(total))
        await until(jobs, created.id, lambda job: job.done >= WINDOW)
    stored = len(library.store.documents())
    assert WINDOW <= stored + 1 < total
    library.embedder = FakeEmbedder()
    async with library.process() as jobs:
        job = await ended(jobs, created.id)
    assert (job.state, job.done) == ("done", total + 1)
    assert job.failures == {"bad": "There are no words in it."}
    assert len(library.store.documents()) == total
    assert len(library.embedder.texts) == total - stored


async def test_job_that_was_never_whole_is_forgotten(library: Library) -> None:
    async def cut_off() -> AsyncGenerator[JobInput, None]:
        yield text_input(Document("a", "x"))
        raise UnavailableError("The client is gone.")

    async with library.process() as jobs:
        with pytest.raises(UnavailableError):
            await jobs.create(OWNER, "default", "texts", cut_off())
        assert await jobs.all(OWNER) == []


async def test_job_of_a_key_that_is_gone_fails(library: Library) -> None:
    def refuse(_: str) -> Retrieval:
        raise PermissionDeniedError("The key is gone.")

    async with library.process(refuse) as jobs:
        created = await submit(jobs, *documents(1))
        job = await ended(jobs, created.id)
        assert (job.state, job.error) == ("failed", "The key is gone.")


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        (DocumentRights({"default": "read"}), "This API key may not write to"),
        (DocumentRights({"other": "write"}), "This API key may not write to"),
        (DocumentRights(filter=parse_filter({"n": 7})), "This API key may store only documents"),
    ],
)
async def test_job_has_the_rights_that_its_key_has_when_it_runs(
    library: Library, rights: DocumentRights, reason: str
) -> None:
    async with library.process(runs=False) as jobs:
        created = await submit(jobs, *documents(1))
    async with library.process(rights=rights) as jobs:
        job = await ended(jobs, created.id)
    assert (job.state, job.error.startswith(reason)) == ("failed", True)
    assert library.store.collections.get("default", (None, {}))[1] == {}


async def test_only_so_many_may_wait(library: Library) -> None:
    async with library.process(runs=False) as jobs:
        for _ in range(MAX_WAITING):
            await submit(jobs, *documents(1))
        with pytest.raises(OverloadedError):
            await submit(jobs, *documents(1))


async def test_jobs_close_though_a_write_does_not_end(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background_loop, "CLOSE_SECONDS", 0.05)
    library.store.seconds = 0.5
    async with library.process() as jobs:
        created = await submit(jobs, *documents(1))
        await until(jobs, created.id, lambda _: bool(library.store.calls))
    assert "left to the store" in caplog.text
    await asyncio.sleep(1)


async def test_same_document_twice_is_done_when_both_are_reported(library: Library) -> None:
    given = Document("a", "x"), Document("a", "x"), Document("a", "other")
    async with library.process() as jobs:
        created = await submit(jobs, *given)
        job = await ended(jobs, created.id)
    assert (job.state, job.done, list(job.failures)) == ("done", 3, ["a"])
