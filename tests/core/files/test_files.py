"""Files: stored, shared between equal contents, bounded, gone when no row names them."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.errors import (
    FilesFullError,
    FileTooLargeError,
    InvalidRequestError,
    StateUnavailableError,
    StoredFileNotFoundError,
)
from llm_api.core.files import opened
from llm_api.core.files.files import FileService
from llm_api.core.files.folder_storage import FolderStorage
from llm_api.core.files.opened import new_files, open_files
from llm_api.core.files.options import FileOptions
from llm_api.core.state import blobs as state_blobs
from llm_api.core.state.file_records import FileRecord
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import PageRequest
from llm_api.core.state.state import State
from tests.core.files.conftest import left_over, stored_bytes
from tests.core.files.samples import in_pieces, new_file, put, read
from tests.core.state.test_state import sweeper_of


async def test_file_is_read_as_it_was_stored(service: FileService) -> None:
    files = service.of("alice")
    stored = await put(files, b"words" * 1000)
    assert await files.get(stored.id) == stored
    assert (stored.bytes, stored.filename) == (5000, "a.txt")
    assert await read(files, stored) == b"words" * 1000
    assert await files.content(stored, 5000) == b"words" * 1000
    assert left_over(service) == []


async def test_equal_contents_share_their_bytes_until_the_last_is_deleted(
    service: FileService,
) -> None:
    alice, bob = service.of("alice"), service.of("bob")
    first, second, other = await put(alice, b"same"), await put(bob, b"same"), None
    other = await put(alice, b"other")
    assert stored_bytes(service) == [b"other", b"same"]
    await alice.delete(first.id)
    assert await read(bob, second) == b"same"
    await bob.delete(second.id)
    assert stored_bytes(service) == [b"other"]
    assert await read(alice, other) == b"other"


async def test_file_of_another_owner_does_not_exist(service: FileService) -> None:
    alice, bob = service.of("alice"), service.of("bob")
    stored = await put(alice, b"secret")
    for act in (bob.get(stored.id), bob.delete(stored.id)):
        with pytest.raises(StoredFileNotFoundError):
            await act
    assert not (await bob.list(PageRequest())).entries
    with pytest.raises(InvalidRequestError):
        await bob.list(PageRequest(after=stored.id))
    assert await read(alice, stored) == b"secret"


async def test_pages_follow_the_time_of_making(service: FileService) -> None:
    files = service.of("alice")
    made = [await put(files, b"x", new_file(created_at=float(moment // 2))) for moment in range(5)]
    for order, expected in (("asc", made), ("desc", made[::-1])):
        found: list[FileRecord] = []
        page = PageRequest(2, order)  # type: ignore[arg-type]
        while True:
            got = await files.list(page)
            found += got.entries
            if not got.has_more:
                break
            page = replace(page, after=found[-1].id)
        assert [one.created_at for one in found] == [one.created_at for one in expected]
        assert {one.id for one in found} == {one.id for one in made}
    assert not (await files.list(PageRequest(), "batch")).entries


async def test_what_is_too_large_or_empty_or_too_much_is_refused_and_leaves_nothing(
    service: FileService,
) -> None:
    files = service.of("alice")
    with pytest.raises(FileTooLargeError):
        await put(files, b"x" * 1_000_001)
    with pytest.raises(InvalidRequestError, match="empty"):
        await put(files, b"")
    for number in range(3):
        await put(files, bytes([number]) * 1_000_000)
    with pytest.raises(FilesFullError, match="FILES_OWNER_MAX_BYTES"):
        await put(files, b"y")
    with pytest.raises(FileTooLargeError):
        await files.content(await put(service.of("bob"), b"12345"), 4)
    assert len(stored_bytes(service)) == 4
    assert left_over(service) == []


async def test_endless_file_is_refused_at_its_bound(service: FileService) -> None:
    taken = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal taken
        while True:
            taken += 100_000
            yield b"x" * 100_000

    with pytest.raises(FileTooLargeError):
        await service.of("alice").create(new_file(), endless())
    assert taken == 1_100_000
    assert left_over(service) == []


async def test_client_that_leaves_leaves_nothing(service: FileService) -> None:
    began = asyncio.Event()

    async def stalling() -> AsyncGenerator[bytes, None]:
        yield b"begun"
        began.set()
        await asyncio.Event().wait()

    creating = asyncio.create_task(service.of("alice").create(new_file(), stalling()))
    await began.wait()
    assert len(left_over(service)) == 1
    creating.cancel()
    await asyncio.gather(creating, return_exceptions=True)
    assert left_over(service) == []
    assert not (await service.of("alice").list(PageRequest())).entries


async def test_full_disk_is_told_as_one(service: FileService) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(FilesFullError, match="disk"):
            await put(service.of("alice"), b"words")
    assert left_over(service) == []


async def test_same_content_that_comes_at_the_same_time_is_stored_for_each(
    service: FileService,
) -> None:
    owners = [service.of(f"owner {number}") for number in range(8)]
    stored = await asyncio.gather(*(put(files, b"same") for files in owners))
    for files, file in zip(owners, stored, strict=True):
        assert await read(files, file) == b"same"
    await asyncio.gather(
        *(files.delete(file.id) for files, file in zip(owners, stored, strict=True))
    )
    await service.remove_going()
    assert stored_bytes(service) == []


async def test_content_that_is_deleted_and_stored_again_at_once_is_never_lost(
    service: FileService,
) -> None:
    """Each task deletes the file that it stored before: the same bytes come and go all the time."""

    async def turn(owner: str) -> None:
        files = service.of(owner)
        for _ in range(12):
            stored = await put(files, b"contested")
            assert await read(files, stored) == b"contested"
            await files.delete(stored.id)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(turn(f"owner {number}"))
    await service.remove_going()
    assert stored_bytes(service) == []


class BrokenStorage(FolderStorage):
    """Loses the connection after the bytes are there: as a process that dies then."""

    async def put(self, key: str, file: Path) -> None:
        await super().put(key, file)
        raise StateUnavailableError("The storage is gone.")


async def test_bytes_whose_row_never_came_are_removed(
    options: StateOptions, file_options: FileOptions
) -> None:
    now = [1_000.0]
    async with aclosing(State(replace(options, now=lambda: now[0]))) as state:
        service = new_files(file_options, state)
        dying = replace(service, storage=BrokenStorage(file_options.folder))
        with pytest.raises(StateUnavailableError):
            await put(dying.of("alice"), b"half")
        assert stored_bytes(service) == [b"half"]
        stored = await put(service.of("alice"), b"half")  # the same again is whole
        now[0] += state_blobs.ARRIVING_SECONDS + 1
        await sweeper_of(state).forget_old()
        await service.remove_going()
        assert stored_bytes(service) == [b"half"]
        assert await read(service.of("alice"), stored) == b"half"


async def test_bytes_that_arrive_too_late_become_no_file(
    options: StateOptions, file_options: FileOptions
) -> None:
    now = [1_000.0]

    class SlowStorage(FolderStorage):
        async def put(self, key: str, file: Path) -> None:
            now[0] += state_blobs.ARRIVING_SECONDS + 1
            await sweeper_of(state).forget_old()
            await super().put(key, file)

    async with aclosing(State(replace(options, now=lambda: now[0]))) as state:
        service = new_files(file_options, state)
        slow = replace(service, storage=SlowStorage(file_options.folder))
        with pytest.raises(StateUnavailableError, match="too long"):
            await put(slow.of("alice"), b"late")
        await service.remove_going()
        assert stored_bytes(service) == []


async def test_file_goes_when_it_expires_and_exists_no_more_at_that_moment(
    options: StateOptions, file_options: FileOptions
) -> None:
    now = [1_000.0]
    async with aclosing(State(replace(options, now=lambda: now[0]))) as state:
        service = new_files(file_options, state)
        files = service.of("alice")
        short = await put(files, b"short", new_file(expires_at=2_000.0))
        kept = await put(files, b"kept")
        now[0] = 2_000.0
        with pytest.raises(StoredFileNotFoundError):
            await files.get(short.id)
        assert [one.id for one in (await files.list(PageRequest())).entries] == [kept.id]
        await sweeper_of(state).forget_old()
        await service.remove_going()
        assert stored_bytes(service) == [b"kept"]


async def test_bytes_that_somebody_removed_are_told_and_stored_anew(
    service: FileService,
) -> None:
    files = service.of("alice")
    stored = await put(files, b"words")
    await service.storage.remove(stored.key)
    with pytest.raises(StoredFileNotFoundError, match="gone"):
        await read(files, stored)
    await put(files, b"words")
    assert await read(files, stored) == b"words"


async def test_sweep_removes_what_dead_processes_left(
    options: StateOptions, file_options: FileOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "SWEEP_SECONDS", 0.01)
    left = file_options.folder / "incoming" / "left"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    os.utime(left, (1, 1))
    async with aclosing(State(options)) as state, open_files(file_options, state) as service:
        files = service.of("alice")
        stored = await put(files, b"words")
        await (await state.of("alice")).files.delete(stored.id)  # and dies
        while stored_bytes(service) or left.exists():
            await asyncio.sleep(0.01)


async def test_pieces_may_be_left_in_the_middle(service: FileService) -> None:
    files = service.of("alice")
    stored = await files.create(new_file(), in_pieces(b"x" * 900_000))
    async with aclosing(files.pieces(stored)) as pieces:
        assert await anext(pieces)
    await files.delete(stored.id)
