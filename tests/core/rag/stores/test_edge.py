"""The embedded store alone: what outlives its process, and how it keeps its index."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    StorageFullError,
    VectorStoreLockedError,
    VectorStoreUnavailableError,
)
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.stores import edge, edge_points
from llm_api.core.rag.stores.document_store import DocumentStore
from llm_api.core.rag.stores.edge import EdgeEngine, open_edge
from llm_api.core.rag.stores.edge_process import EdgeProcess, open_edge_process
from llm_api.core.rag.stores.points import AllOf, Recipe
from llm_api.core.rag.vector_store import (
    FIRST_RULE,
    Collection,
    EmbeddingModel,
    QueryVector,
    SearchQuery,
)
from scripts.kill_store import kill_once
from tests.core.rag.stores.documents import MODEL, find, found_ids, new_document, put


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with open_edge_process(tmp_path) as store:
        await put(store, "c", new_document("a", "one", metadata={"year": 2020}))
        await put(store, "c", new_document("b", "two"))
        await store.delete_documents("c", ["b"])
        before = await store.get_document("c", "a")
    async with open_edge_process(tmp_path) as store:
        assert await store.list_collections() == (Collection("c", MODEL, 1, 1),)
        assert await store.get_document("c", "a") == before
        assert await found_ids(store, "c", {"year": {"gte": 2020}}) == {"a"}


async def test_collection_of_an_earlier_version_is_searched_by_the_rule_of_its_words(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, is_durable=True) as engine:
        await engine.create("c", Recipe(MODEL, FIRST_RULE))
    async with open_edge(tmp_path, is_durable=True) as engine:
        store = DocumentStore(engine)
        await put(store, "c", new_document("a", "北京大学"))
        assert (await store.describe_collection("c")).word_rule == FIRST_RULE
        assert await find(store, "c", "大学", mode="sparse") == ()
        assert len(await find(store, "c", "北京大学", mode="sparse")) == 1
        with pytest.raises(InvalidRequestError, match="reindex"):
            await found_ids(store, "c", {"v": None})


async def test_store_in_memory_leaves_nothing_behind(tmp_path: Path) -> None:
    async with open_edge_process(None) as store:
        await put(store, "c", new_document("a", "one"))
    async with open_edge_process(None) as store:
        assert await store.list_collections() == ()


async def test_second_process_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "LOCK_SECONDS", 0.05)
    async with open_edge_process(tmp_path) as store:
        await store.running()
        with pytest.raises(VectorStoreLockedError, match="DATA_DIR"):
            await open_edge(tmp_path, is_durable=True).__aenter__()
        await put(store, "c", new_document("a", "one"))


async def test_store_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with open_edge_process(tmp_path / "file") as store:
        with pytest.raises(VectorStoreUnavailableError):
            await store.running()


async def test_store_whose_process_dies_comes_back(tmp_path: Path) -> None:
    async with open_edge_process(tmp_path, timeout_seconds=60) as store:
        await put(store, "c", new_document("a", "one"))
        os.kill(_process_id(store), signal.SIGSTOP)
        searching = asyncio.create_task(find(store, "c"))
        await asyncio.sleep(0.05)
        os.kill(_process_id(store), signal.SIGKILL)
        with pytest.raises(VectorStoreUnavailableError):
            await searching
        assert [hit.chunk.text for hit in await find(store, "c")] == ["one"]


def _process_id(store: EdgeProcess) -> int:
    assert store.process_id is not None
    return store.process_id


async def test_store_whose_process_is_stopped_answers_within_the_timeout_and_is_replaced(
    tmp_path: Path,
) -> None:
    async with open_edge_process(tmp_path, timeout_seconds=2.0) as store:
        await put(store, "c", new_document("a", "one"))
        stopped = _process_id(store)
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        calls = (find(store, "c"), store.list_collections(), store.delete_documents("c", ["b"]))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - began < 15.0  # without an end it was, or 30 seconds
        assert [type(answer) for answer in answers] == [VectorStoreUnavailableError] * 3
        async with asyncio.timeout(30):
            while not await _is_found(store, "one"):
                await asyncio.sleep(0.1)
        assert _process_id(store) != stopped


async def _is_found(store: EdgeProcess, text: str) -> bool:
    with suppress(VectorStoreUnavailableError):
        return [hit.chunk.text for hit in await find(store, "c")] == [text]
    return False


async def test_stopped_process_does_not_keep_the_store_from_closing(tmp_path: Path) -> None:
    async with open_edge_process(tmp_path) as store:
        await put(store, "c", new_document("a", "one"))
        os.kill(_process_id(store), signal.SIGSTOP)
        searching = asyncio.create_task(find(store, "c"))
        await asyncio.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 15.0  # without an end it was, or 30 seconds
    with pytest.raises(VectorStoreUnavailableError):
        await searching


async def test_write_that_takes_longer_than_the_timeout_is_waited_for(tmp_path: Path) -> None:
    async with open_edge_process(tmp_path, timeout_seconds=1.0) as store:
        await store.running()
        await store.create_collection("c", MODEL)
        for words in (10_000, 20_000, 40_000, 80_000):  # as many as this machine needs
            long = new_document(f"{words} words", *["word"] * words)
            began = time.monotonic()
            assert await put(store, "c", long) == ("created",)
            if time.monotonic() - began > 1.5:
                return
    pytest.fail("no write took longer than the timeout")


async def test_cancelled_call_harms_no_other(tmp_path: Path) -> None:
    async with open_edge_process(tmp_path) as store:
        await put(store, "c", new_document("a", "one"))
        searching = asyncio.create_task(find(store, "c"))
        await asyncio.sleep(0)
        searching.cancel()
        assert len(await find(store, "c")) == 1


async def test_event_loop_goes_on_while_the_store_works(tmp_path: Path) -> None:
    async with open_edge_process(tmp_path) as store:
        await store.create_collection("c", MODEL)
        writing = asyncio.create_task(put(store, "c", new_document("a", *["word"] * 2000)))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 50


async def test_full_disk_is_said_and_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_edge(tmp_path, is_durable=True) as engine:
        store = DocumentStore(engine)
        await put(store, "c", new_document("a", "one"))
        monkeypatch.setattr(edge_points, "MIN_FREE_BYTES", 2**62)
        with pytest.raises(StorageFullError):
            await put(store, "c", new_document("b", "two"))
        assert await found_ids(store, "c", {}) == {"a"}


# Crashes


class _CrashError(Exception):
    pass


WRITES = {"created": 4, "replaced": 5, "deleted": 4}
"""How often each kind of change writes to the engine."""


@pytest.mark.parametrize(
    ("kind", "crash_at"),
    [(kind, step) for kind, writes in WRITES.items() for step in range(writes + 1)],
)
async def test_write_that_ends_at_any_step_is_undone_or_done(
    tmp_path: Path, kind: str, crash_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crashes before each write to the engine in turn, then opens the folder anew."""
    old, new = new_document("a", "old one", "old two"), new_document("a", "new")
    async with open_edge(tmp_path, is_durable=False) as engine:
        store = DocumentStore(engine)
        await put(store, "c", new_document("other", "x"), *([] if kind == "created" else [old]))
        _crash_before(engine, crash_at, monkeypatch)
        crashed = False
        try:
            if kind == "deleted":
                await store.delete_documents("c", ["a"])
            else:
                await put(store, "c", new)
        except _CrashError:
            crashed = True
        assert crashed == (crash_at < WRITES[kind])
    allowed = {
        "created": [set(), {"new"}],
        "replaced": [{"old one", "old two"}, {"new"}],
        "deleted": [{"old one", "old two"}, set()],
    }[kind]
    async with open_edge(tmp_path, is_durable=False) as engine:
        store = DocumentStore(engine)
        assert await _texts(store) in allowed
        await store.recover(older_than_seconds=0)
        left = await _texts(store)
        assert left in allowed
        points = 2 + bool(left) * (2 + len(left))  # content and record beside the chunks
        assert await engine.points("c").count(AllOf(())) == points + 1
        assert await put(store, "c", new) == (
            ("unchanged",) if left == {"new"} else ("replaced",) if left else ("created",)
        )


async def _texts(store: DocumentStore) -> set[str]:
    return {hit.chunk.text for hit in await find(store, "c")} - {"x"}


def _crash_before(engine: EdgeEngine, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a collection carry out so many writes, then none any more."""
    points = engine.points("c")
    left = iter(range(step))
    update = points._update

    async def crashing(*arguments: Any) -> None:
        if next(left, None) is None:
            raise _CrashError
        await update(*arguments)

    monkeypatch.setattr(points, "_update", crashing)


@pytest.mark.parametrize("seed", range(3))
def test_killed_process_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    assert kill_once(tmp_path, random.Random(seed), longest_seconds=2.0) == []


# The index


def subfolders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


WIDE = np.ones(1024, np.float32)  # 300 of them are enough for the engine to index them


async def put_wide(store: DocumentStore, id_: str, *texts: str) -> None:
    new = new_document(id_, *texts, vectors=(WIDE,) * len(texts))
    await store.replace_documents("c", "wide", [new])


async def wide_texts(store: DocumentStore, where: object = None) -> set[str]:
    vector, wanted = QueryVector("wide", WIDE), parse_filter(where or {})
    hits = await store.search("c", SearchQuery("dense", 500, vector=vector, filter=wanted))
    return {hit.chunk.text for hit in hits}


async def test_index_is_built_beside_reads_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_points, "INDEX_AFTER", 300)
    kept = {f"k{n}" for n in range(200)}
    async with open_edge(tmp_path, is_durable=True) as engine:
        store = DocumentStore(engine)
        await store.create_collection("c", EmbeddingModel("wide", len(WIDE)))
        await put_wide(store, "gone", *[f"g{n}" for n in range(100)])
        await put_wide(store, "kept", *kept)
        points = engine.points("c")
        folder = points.folder
        assert points.is_indexing
        await put_wide(store, "gone", "replaced")
        await put_wide(store, "late", "late")
        await store.update_metadata("c", "kept", {"year": 2020})
        assert await wide_texts(store, {"year": {"gt": 2000}}) == kept
        assert points.folder == folder
        await until(lambda: not points.is_indexing)
        assert points.folder != folder
        assert await wide_texts(store) == kept | {"replaced", "late"}
        assert await wide_texts(store, {"year": {"gt": 2000}}) == kept
        [hit] = await store.search("c", SearchQuery("sparse", 5, "late"))
        assert hit.chunk.text == "late"
    async with open_edge(tmp_path, is_durable=True) as engine:
        assert await wide_texts(DocumentStore(engine)) == kept | {"replaced", "late"}
        assert engine.points("c").unindexed < 10
        assert subfolders(tmp_path) == [engine.points("c").folder]


async def test_index_that_cannot_be_built_costs_nothing_but_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(edge_points, "INDEX_AFTER", 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    async with open_edge(tmp_path, is_durable=True) as engine:
        store = DocumentStore(engine)
        await put(store, "c", new_document("a", "one"))
        await until(lambda: not engine.points("c").is_indexing)
        assert [hit.chunk.text for hit in await find(store, "c")] == ["one"]
    assert "could not be built" in caplog.text
    assert len(subfolders(tmp_path)) == 1
