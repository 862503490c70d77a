"""Files on their way into a store: whatever happens, each ends, and what is counted is there."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from llm_api.core.embeddings.embedder import EmbeddingRequest, Embeddings
from llm_api.core.errors import (
    EmbeddingError,
    FileNotInStoreError,
    PermissionDeniedError,
    UnavailableError,
    VectorStoreNotFoundError,
)
from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.state.store_file_queue import GROUP
from llm_api.core.vector_stores.views import FileCounts, NewStoreFile
from tests.core.rag.fakes import FakeEmbedder
from tests.core.vector_stores.shelf import Desk, process, until
from tests.live import PATIENCE_SECONDS

LARGE = 8_000
"""Characters of files of which a few are embedded together."""


class GatedEmbedder(FakeEmbedder):
    """Embeds once, and then not before its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        if self.requests:
            await self.gate.wait()
        return await super().embed(request)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
async def desk(tmp_path: Path, embedder: FakeEmbedder) -> AsyncGenerator[Desk, None]:
    async with process(tmp_path, embedder) as desk:
        yield desk


async def test_files_of_a_batch_end_whatever_becomes_of_each(
    tmp_path: Path, embedder: FakeEmbedder
) -> None:
    embedder.failures["unbearable"] = EmbeddingError("The model failed.")
    async with process(tmp_path, embedder, runs=False) as desk:
        store = await desk.store()
        good, gone = await desk.upload("A good page."), await desk.upload("Soon gone.")
        program = await desk.upload(b"\x7fELF", "a.bin")
        blank, bad = await desk.upload(" "), await desk.upload("An unbearable page.")
        files = [NewStoreFile(id) for id in (good, gone, program, blank, bad)]
        batch = await desk.batches.create(store, files)
        assert batch.counts == FileCounts(in_progress=5)
        await desk.access.files.delete(gone)
    async with process(tmp_path, embedder) as desk:
        await desk.ended(store)
        views = [await desk.files.get(store, one.file_id) for one in files]
        assert [(one.status, one.error_code) for one in views] == [
            ("completed", ""),
            ("failed", "invalid_file"),
            ("failed", "unsupported_file"),
            ("failed", "invalid_file"),
            ("failed", "server_error"),
        ]
        assert all(one.error for one in views[1:])
        counts = FileCounts(completed=1, failed=4)
        assert (await desk.stores.get(store)).counts == counts
        ended = await desk.batches.get(store, batch.id)
        assert (ended.status, ended.counts) == ("completed", counts)


@pytest.mark.parametrize(
    "failure", [UnavailableError("The model is away."), RuntimeError("a bug of ours")]
)
async def test_files_that_nobody_came_to_fail(
    desk: Desk, embedder: FakeEmbedder, failure: Exception
) -> None:
    embedder.failures["page"] = failure
    store = await desk.store()
    file = await desk.upload("A page.")
    await desk.files.attach(store, NewStoreFile(file))
    await desk.ended(store)
    view = await desk.files.get(store, file)
    assert (view.status, view.error_code) == ("failed", "server_error")
    embedder.failures.clear()
    await desk.files.attach(store, NewStoreFile(file))
    await desk.ended(store)
    assert (await desk.files.get(store, file)).status == "completed"


async def test_key_that_is_gone_brings_nothing_in(tmp_path: Path, embedder: FakeEmbedder) -> None:
    def refused(owner: str) -> Retrieval:
        raise PermissionDeniedError(f"The key of {owner} is gone.")

    async with process(tmp_path, embedder, refused) as desk:
        store = await desk.store()
        file = await desk.upload("A page.")
        await desk.files.attach(store, NewStoreFile(file))
        await desk.ended(store)
        view = await desk.files.get(store, file)
        assert (view.status, view.error) == ("failed", "The key of alice is gone.")


async def test_cancelled_batch_ends_with_what_was_in_by_then(tmp_path: Path) -> None:
    embedder = GatedEmbedder()
    async with process(tmp_path, embedder) as desk:
        store = await desk.store()
        files = await desk.uploads(GROUP + 10, LARGE)
        batch = await desk.batches.create(store, files)

        async def has_begun() -> bool:
            return (await desk.stores.get(store)).counts.completed > 0

        await until(has_begun)
        cancelled = await desk.batches.cancel(store, batch.id)
        assert (cancelled.status, cancelled.counts.total) == ("cancelled", GROUP + 10)
        embedder.gate.set()
        await desk.ended(store)
        counts = (await desk.stores.get(store)).counts
        assert counts.completed > 0
        assert counts.cancelled >= 10
        assert counts.total == GROUP + 10
        assert (await desk.batches.get(store, batch.id)).counts == counts
        assert (await desk.access.collection(store)).documents == counts.completed
        # What was cancelled can be brought in after all.
        await desk.batches.create(store, files)
        await desk.ended(store)
        assert (await desk.stores.get(store)).counts == FileCounts(completed=GROUP + 10)


async def test_file_taken_out_while_it_comes_in_leaves_nothing(
    desk: Desk, embedder: FakeEmbedder
) -> None:
    embedder.seconds = 0.2
    store = await desk.store()
    files = await desk.uploads(3, 1_000)
    await desk.batches.create(store, files)
    await until(lambda: _has_begun(embedder))
    await desk.files.detach(store, files[0].file_id)
    with pytest.raises(FileNotInStoreError):
        await desk.files.get(store, files[0].file_id)
    await desk.ended(store)

    async def is_gone() -> bool:
        return (await desk.stores.get(store)).counts == FileCounts(completed=2)

    await until(is_gone)
    assert (await desk.access.collection(store)).documents == 2


async def _has_begun(embedder: FakeEmbedder) -> bool:
    return any("File 0 begins" in text for text in embedder.texts)


async def test_store_deleted_while_files_come_in_stays_deleted(
    desk: Desk, embedder: FakeEmbedder
) -> None:
    embedder.seconds = 0.05
    store, other = await desk.store(), await desk.store()
    await desk.batches.create(store, await desk.uploads(20, LARGE))
    await until(lambda: _has_begun(embedder))
    await desk.stores.delete(store)
    # One that is attached later ends only after what was under way.
    await desk.files.attach(other, NewStoreFile(await desk.upload("A page.")))
    await desk.ended(other)
    with pytest.raises(VectorStoreNotFoundError):
        await desk.stores.get(store)
    assert [one.name for one in await desk.retrieval.store.list_collections()] == [other]


async def test_attributes_said_while_a_file_comes_in_are_kept(
    desk: Desk, embedder: FakeEmbedder
) -> None:
    embedder.seconds = 0.2
    store = await desk.store()
    (file,) = await desk.uploads(1, 1_000)
    await desk.files.attach(store, file)
    await until(lambda: _has_begun(embedder))
    await desk.files.set_attributes(store, file.file_id, {"year": 1822})
    await desk.ended(store)
    assert (await desk.files.get(store, file.file_id)).attributes == {"year": 1822}
    record = await desk.retrieval.store.get_document(store, file.file_id)
    assert record.metadata == {"filename": "notes.txt", "year": 1822}


async def test_file_attached_again_is_cut_anew(desk: Desk) -> None:
    store = await desk.store()
    (file,) = await desk.uploads(1, 3_000)
    sizes = []
    for chunks in (ChunkSettings(400, 0), ChunkSettings(100, 50)):
        await desk.files.attach(store, NewStoreFile(file.file_id, chunks=chunks))
        await desk.ended(store)
        assert (await desk.files.get(store, file.file_id)).chunks == chunks
        sizes.append((await desk.access.collection(store)).chunks or 0)
        assert (await desk.stores.get(store)).counts == FileCounts(completed=1)
    assert sizes[0] == 2
    assert sizes[1] > 8


async def test_stopped_process_leaves_its_files_to_the_next(tmp_path: Path) -> None:
    embedder = GatedEmbedder()
    async with process(tmp_path, embedder) as desk:
        store = await desk.store()
        files = await desk.uploads(20, LARGE)
        await desk.batches.create(store, files)
        await until(lambda: _has_begun(embedder))
    assert len(embedder.requests) == 1
    async with process(tmp_path, FakeEmbedder()) as desk:
        await desk.ended(store)
        assert await desk.statuses(store, files) == ["completed"] * 20
        assert (await desk.stores.get(store)).counts == FileCounts(completed=20)


FILES_OF_KILLED = 24


async def bring_in_until_killed(folder: Path) -> None:
    """Attach files, say where, and bring them in slowly."""
    embedder = FakeEmbedder(seconds=0.1)
    async with process(folder, embedder) as desk:
        store = await desk.store()
        batch = await desk.batches.create(store, await desk.uploads(FILES_OF_KILLED, LARGE))
        sys.stdout.write(f"{store} {batch.id}\n")
        sys.stdout.flush()
        while True:
            view = await desk.stores.get(store)
            sys.stdout.write(f"{view.counts.completed} {view.counts.total}\n")
            sys.stdout.flush()
            await asyncio.sleep(0.02)


def killed_in_mid_batch(folder: Path) -> tuple[str, str]:
    """Store and batch of a process that was killed when some of its files were in."""
    code = (
        "import asyncio; from pathlib import Path;"
        "from tests.core.vector_stores.test_bringing_in import bring_in_until_killed;"
        f"asyncio.run(bring_in_until_killed(Path({str(folder)!r})))"
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            store, batch = child.stdout.readline().split()
            for line in child.stdout:
                completed, total = map(int, line.split())
                assert total == FILES_OF_KILLED
                if completed:
                    break
        finally:
            child.kill()
        child.wait(PATIENCE_SECONDS)
    return store, batch


async def test_killed_process_loses_no_file_and_counts_add_up(tmp_path: Path) -> None:
    store, batch = await asyncio.to_thread(killed_in_mid_batch, tmp_path)
    async with process(tmp_path, FakeEmbedder()) as desk:

        async def adds_up() -> bool:
            counts = (await desk.stores.get(store)).counts
            assert counts.total == FILES_OF_KILLED
            return not counts.in_progress

        await until(adds_up)
        assert (await desk.stores.get(store)).counts == FileCounts(completed=FILES_OF_KILLED)
        ended = await desk.batches.get(store, batch)
        assert (ended.status, ended.counts.completed) == ("completed", FILES_OF_KILLED)
        options = SearchOptions(store, 1, mode="sparse")
        (hit,) = await desk.stores.search(["word7"], options)
        assert "word7" in hit.chunk.text
