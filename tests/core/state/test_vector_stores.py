"""What is known of vector stores and of files on their way into them, in both databases."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llm_api.core.state import liveness, sweep
from llm_api.core.state.job_queue import MAX_ATTEMPTS
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from llm_api.core.state.store_file_queue import GROUP, GROUP_BYTES
from llm_api.core.state.store_records import DAY, FileBatch, StoreFacts, StoreFile

if TYPE_CHECKING:
    from llm_api.core.state.opened import StoreRows


def file(id: str, store: str = "vs_1", **more: object) -> StoreFile:
    plain = StoreFile(store, id, "alice", 1_000.0, f"{id}.txt", 10)
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.fixture
async def rows(state: State) -> "StoreRows":
    return await state.vector_stores()


@asynccontextmanager
async def another(options: StateOptions) -> AsyncGenerator["StoreRows", None]:
    """The rows as another process has them."""
    async with aclosing(State(options)) as state:
        yield await state.vector_stores()


async def test_files_are_claimed_in_groups_that_are_alike(rows: "StoreRows") -> None:
    await rows.files.attach([file(str(n), created_at=1.0) for n in range(GROUP + 1)])
    await rows.files.attach([file("z", store="vs_2", created_at=0.5)])
    await rows.files.attach([file("x", chunking="fine", created_at=2.0)])
    await rows.files.attach([file("y", owner="bob", created_at=2.0)])
    sizes = []
    while group := await rows.queue.claim():
        assert len({(one.store_id, one.owner, one.chunking) for one in group}) == 1
        sizes.append(len(group))
        for one in group:
            assert await rows.queue.end(one, "completed", is_there=True) == "ended"
    assert sizes == [1, GROUP, 1, 1, 1]


async def test_large_file_is_claimed_alone(rows: "StoreRows") -> None:
    half = GROUP_BYTES // 2
    await rows.files.attach(
        [
            file("a", bytes=2 * GROUP_BYTES, created_at=1.0),
            file("b", bytes=half, created_at=2.0),
            file("c", bytes=half, created_at=3.0),
            file("d", bytes=half, created_at=4.0),
        ]
    )
    groups = []
    while group := await rows.queue.claim():
        groups.append([one.file_id for one in group])
        for one in group:
            await rows.queue.end(one, "completed", is_there=True)
    assert groups == [["a"], ["b", "c"], ["d"]]


async def test_files_of_a_dead_process_come_again_one_by_one_and_fail_at_last(
    options: StateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "DEAD_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "DEAD_SECONDS", 3600.0)
    for attempt in range(MAX_ATTEMPTS):
        async with another(options) as dying:
            if attempt == 0:
                await dying.files.attach([file("a"), file("b", created_at=2_000.0)])
            group = await dying.queue.claim()
            assert [one.file_id for one in group] == (["a", "b"] if attempt == 0 else ["a"])
    async with another(options) as living:
        failed = await living.files.get("vs_1", "a")
        assert failed is not None
        assert (failed.status, failed.error_code) == ("failed", "server_error")
        assert [one.file_id for one in await living.queue.claim()] == ["b"]


async def test_file_that_another_process_has_taken_is_lost(
    options: StateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with another(options) as one, another(options) as other:
        await one.files.attach([file("a")])
        (claimed,) = await one.queue.claim()
        assert await other.queue.claim() == []
        assert await other.queue.end(claimed, "completed", is_there=True) == "lost"
        assert await one.queue.end(claimed, "completed", is_there=True) == "ended"


async def test_what_is_asked_meanwhile_has_a_file_brought_in_again(rows: "StoreRows") -> None:
    await rows.files.attach([file("a")])
    (claimed,) = await rows.queue.claim()
    await rows.files.set_attributes("vs_1", "a", '{"x": 1}')
    assert await rows.queue.end(claimed, "completed", is_there=True) == "ended"
    (again,) = await rows.queue.claim()
    assert (again.attributes, again.existed) == ('{"x": 1}', True)
    assert await rows.queue.end(again, "completed", is_there=True) == "ended"
    assert await rows.queue.claim() == []


async def test_detached_file_is_gone_at_once_or_when_its_process_lets_go(
    rows: "StoreRows",
) -> None:
    await rows.files.attach([file("a"), file("b")])
    assert await rows.files.detach("vs_1", "a")
    (claimed,) = await rows.queue.claim()
    assert not await rows.files.detach("vs_1", "b")
    assert await rows.files.of_store("vs_1") == []
    assert await rows.files.unsettled("vs_1") == []
    assert await rows.queue.end(claimed, "completed", is_there=True) == "unwanted"
    await rows.queue.forget("vs_1", "b")
    assert await rows.queue.end(claimed, "completed", is_there=True) == "unwanted"


async def test_cancelled_batch_leaves_what_is_begun_to_its_process(rows: "StoreRows") -> None:
    batch = FileBatch("vsfb_1", "vs_1", 1_000.0, ["a", "b"])
    await rows.files.attach([file("a", bytes=GROUP_BYTES), file("b", created_at=2_000.0)], batch)
    await rows.files.attach([file("c", created_at=3_000.0)])
    await rows.queue.claim()
    await rows.files.cancel(batch)
    assert await rows.queue.wishes("vs_1", ["a", "b", "c"]) == {"a": "cancel"}
    statuses = {one.file_id: one.status for one in await rows.files.of_store("vs_1")}
    assert statuses == {"a": "in_progress", "b": "cancelled", "c": "in_progress"}
    kept = await rows.files.batch("vs_1", "vsfb_1")
    assert kept is not None
    assert kept.is_cancelled
    assert await rows.files.batch("vs_2", "vsfb_1") is None


async def test_store_expires_once_and_until_it_is_emptied(rows: "StoreRows") -> None:
    await rows.stores.put(StoreFacts("vs_1", 0.0, 1_000.0, "{}", expires_days=2))
    await rows.stores.put(StoreFacts("vs_2", 0.0, 1_000.0, "{}"))
    ends_at = 1_000.0 + 2 * DAY
    assert await rows.stores.expire(ends_at - 1) == []
    await rows.stores.note_activity({"vs_1": 2_000.0, "vs_3": 2_000.0})
    assert await rows.stores.expire(ends_at) == []
    for _ in range(2):
        assert await rows.stores.expire(ends_at + 1_000.0) == ["vs_1"]
    await rows.stores.note_activity({"vs_1": ends_at})
    await rows.files.attach([file("a"), file("b", store="vs_2")])
    await rows.stores.emptied("vs_1")
    assert await rows.stores.expire(ends_at + 1_000.0) == []
    assert await rows.files.get("vs_1", "a") is None
    assert await rows.files.get("vs_2", "b") is not None
    expired = await rows.stores.get("vs_1")
    assert expired is not None
    assert (expired.expired_at, expired.last_active_at) == (ends_at + 1_000.0, 2_000.0)


async def test_forgotten_store_leaves_nothing(rows: "StoreRows") -> None:
    await rows.stores.put(StoreFacts("vs_1", 0.0, 0.0, "{}"))
    await rows.files.attach([file("a")], FileBatch("vsfb_1", "vs_1", 0.0, ["a"]))
    await rows.stores.forget("vs_1")
    assert await rows.stores.all() == {}
    assert await rows.files.get("vs_1", "a") is None
    assert await rows.files.batch("vs_1", "vsfb_1") is None
