"""Stores that nobody asks any more: expired, then empty; and none that may not expire."""

from pathlib import Path

import pytest

from llm_api.core.errors import FileNotInStoreError, VectorStoreExpiredError
from llm_api.core.rag.ingest import each
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.types import Document
from llm_api.core.state.store_records import DAY
from llm_api.core.vector_stores.expiry import StoreSweep
from llm_api.core.vector_stores.views import FileCounts, NewStoreFile
from tests.core.rag.fakes import FakeEmbedder
from tests.core.vector_stores.shelf import Desk, process


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.moment = 1_000_000.0

    def __call__(self) -> float:
        return self.moment


async def filled(desk: Desk, expires_days: int | None) -> tuple[str, str]:
    """A store and the file in it."""
    store = await desk.store(expires_days=expires_days)
    file = await desk.upload("The only page.")
    await desk.files.attach(store, NewStoreFile(file))
    await desk.ended(store)
    return store, file


async def test_store_expires_loses_its_files_and_says_so(tmp_path: Path) -> None:
    clock = Clock()
    async with process(tmp_path, FakeEmbedder(), now=clock) as desk:
        sweep = StoreSweep(desk.state, desk.retrieval, clock)
        store, file = await filled(desk, 2)
        lasting, _ = await filled(desk, None)
        await desk.retrieval.ingest("manuals", each([Document("m", "A manual.")]), lambda _: None)
        clock.moment += 2 * DAY - 1
        await sweep.sweep()
        assert not (await desk.stores.get(store)).is_expired
        clock.moment += 1
        # From the moment on, also before it is swept.
        assert (await desk.stores.get(store)).is_expired
        for question in (
            desk.stores.search(["page"], SearchOptions(store, 1)),
            desk.files.attach(store, NewStoreFile(file)),
        ):
            with pytest.raises(VectorStoreExpiredError):
                await question
        await sweep.sweep()
        view = await desk.stores.get(store)
        assert (view.is_expired, view.counts, view.usage_bytes) == (True, FileCounts(), 0)
        with pytest.raises(FileNotInStoreError):
            await desk.files.get(store, file)
        assert (await desk.access.files.get(file)).id == file
        for other in (lasting, "manuals"):
            assert (await desk.stores.get(other)).counts == FileCounts(completed=1)


async def test_search_keeps_a_store_alive(tmp_path: Path) -> None:
    clock = Clock()
    async with process(tmp_path, FakeEmbedder(), now=clock) as desk:
        store, _ = await filled(desk, 1)
        made_at = clock.moment
        await desk.retrieval.retriever.search("page", SearchOptions(store, 1))
        # The search has noted the time of this machine, which is far from the clock's.
        searched_at = desk.retrieval.times.searched[store]
        assert searched_at > made_at
        assert (await desk.stores.get(store)).last_active_at == searched_at
        clock.moment = searched_at + DAY - 1
        await StoreSweep(desk.state, desk.retrieval, clock).sweep()
        desk.retrieval.times.searched.clear()
        view = await desk.stores.get(store)
        assert (view.last_active_at, view.is_expired) == (searched_at, False)
        clock.moment += 1
        assert (await desk.stores.get(store)).is_expired


async def test_what_was_said_of_a_collection_goes_with_it(tmp_path: Path) -> None:
    clock = Clock()
    async with process(tmp_path, FakeEmbedder(), now=clock) as desk:
        sweep = StoreSweep(desk.state, desk.retrieval, clock)
        store, young = await desk.store(expires_days=1), await desk.store()
        await desk.retrieval.store.delete_collection(store)
        rows = (await desk.state.vector_stores()).stores
        await sweep.forget_gone()
        assert (await rows.all()).keys() == {store, young}
        clock.moment += 120
        await sweep.forget_gone()
        assert (await rows.all()).keys() == {young}
