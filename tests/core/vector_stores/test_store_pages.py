"""Pages of a store's files: all of them once, and all of the store read once alone."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from llm_api.core.rag.filters import Filter
from llm_api.core.rag.ingest import each
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import DocumentPage, VectorStore
from llm_api.core.vector_stores.paging import StoreWindow
from llm_api.core.vector_stores.store_files import StoreFiles
from tests.core.rag.fakes import FakeEmbedder
from tests.core.vector_stores.shelf import Desk, process

NAMES = {f"d{number:02}" for number in range(25)}


class CountingStore:
    """Counts the pages of documents that are read of a store."""

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self.pages = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def list_documents(
        self, collection: str, filter: Filter, cursor: str | None, limit: int
    ) -> DocumentPage:
        self.pages += 1
        return await self._store.list_documents(collection, filter, cursor, limit)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    async with process(tmp_path, FakeEmbedder(), runs=False) as desk:
        yield desk


async def filled(desk: Desk) -> tuple[str, StoreFiles, CountingStore]:
    store = await desk.store()
    documents = each(Document(name, f"words of {name}") for name in sorted(NAMES))
    await desk.retrieval.ingest(store, documents, lambda _: None)
    counting = CountingStore(desk.retrieval.store)
    retrieval = replace(desk.retrieval, store=cast(VectorStore, counting))
    return store, StoreFiles(replace(desk.access, retrieval=retrieval)), counting


async def listed(files: StoreFiles, store: str, after: str | None = None) -> list[str]:
    """Of all pages from there on."""
    found: list[str] = []
    while True:
        page = await files.page(store, StoreWindow(limit=4, after=after))
        found += [one.id for one in page.entries]
        if not page.has_more:
            return found
        after = found[-1]


async def test_paging_reads_the_store_once_and_gives_each_file_once(desk: Desk) -> None:
    store, files, counting = await filled(desk)
    found = await listed(files, store)
    assert len(found) == len(NAMES)
    assert set(found) == NAMES
    assert counting.pages == 1
    back = await files.page(store, StoreWindow(limit=4, before=found[8]))
    assert [one.id for one in back.entries] == found[4:8]
    assert counting.pages == 1


async def test_pages_show_what_files_are_now_and_a_new_list_what_there_is(desk: Desk) -> None:
    store, files, counting = await filled(desk)
    first = [one.id for one in (await files.page(store, StoreWindow(limit=4))).entries]
    rest = await listed(files, store, first[-1])
    await desk.retrieval.store.delete_documents(store, [rest[0]])
    assert await listed(files, store, first[-1]) == rest[1:]
    assert counting.pages == 1
    assert len(await listed(files, store)) == len(NAMES) - 1
    assert counting.pages == 2
