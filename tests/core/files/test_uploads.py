"""Uploads: parts in any order and at once, checked when they become a file, gone in the end."""

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_api.core.errors import (
    FilesFullError,
    FileTooLargeError,
    InvalidRequestError,
    UploadNotFoundError,
)
from llm_api.core.files.files import FileService
from llm_api.core.files.opened import new_files
from llm_api.core.files.options import FileOptions
from llm_api.core.files.uploads import OwnedUploads
from llm_api.core.state.file_records import NewUpload, PartRecord
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import PageRequest
from llm_api.core.state.state import State
from tests.core.files.conftest import left_over, stored_bytes
from tests.core.files.samples import in_pieces, new_file, read
from tests.core.state.test_state import sweeper_of

FAR = 4e9
"""A moment that no test comes to."""


async def begun(uploads: OwnedUploads, size: int, expires_at: float = FAR) -> str:
    new = NewUpload("upload_1", "a.txt", "text/plain", "user_data", size, 1.0, expires_at)
    return (await uploads.create(new)).id


async def add(uploads: OwnedUploads, id: str, part_id: str, data: bytes) -> str:
    part = PartRecord(part_id, id, 1.0, 0, "")
    return (await uploads.add_part(part, in_pieces(data))).id


async def test_parts_become_a_file_in_the_order_that_is_named(service: FileService) -> None:
    uploads, files = OwnedUploads(service, "alice"), service.of("alice")
    id = await begun(uploads, 9)
    await asyncio.gather(*(add(uploads, id, name, name.encode() * 3) for name in "cab"))
    md5 = hashlib.md5(b"aaabbbccc", usedforsecurity=False).hexdigest()
    new = new_file()
    upload, file = await uploads.complete(id, new, ["a", "b", "c"], md5.upper())
    assert (upload.status, upload.file_id, file.id) == ("completed", new.id, new.id)
    assert await read(files, file) == b"aaabbbccc"
    assert stored_bytes(service) == [b"aaabbbccc"]
    assert left_over(service) == []
    again = await uploads.complete(id, new_file(), ["a"], None)
    assert again == (upload, file)
    assert len((await files.list(PageRequest())).entries) == 1


async def test_parts_that_are_not_the_file_are_refused_and_can_be_sent_anew(
    service: FileService,
) -> None:
    uploads = OwnedUploads(service, "alice")
    id = await begun(uploads, 4)
    await add(uploads, id, "one", b"ab")
    await add(uploads, id, "two", b"cd")
    for part_ids, md5, param in (
        (["one"], None, "part_ids"),
        (["one", "none"], None, "part_ids"),
        (["one", "two"], "0" * 32, "md5"),
    ):
        with pytest.raises(InvalidRequestError) as refused:
            await uploads.complete(id, new_file(), part_ids, md5)
        assert refused.value.param == param
    _, file = await uploads.complete(id, new_file(), ["two", "one"], None)
    assert await read(service.of("alice"), file) == b"cdab"


async def test_two_that_complete_at_once_make_one_file(service: FileService) -> None:
    uploads = OwnedUploads(service, "alice")
    id = await begun(uploads, 2)
    await add(uploads, id, "one", b"ab")
    results = await asyncio.gather(
        *(uploads.complete(id, new_file(), ["one"], None) for _ in range(4)),
        return_exceptions=True,
    )
    assert any(isinstance(one, tuple) for one in results)
    assert all(isinstance(one, tuple | InvalidRequestError) for one in results)
    assert len((await service.of("alice").list(PageRequest())).entries) == 1


async def test_cancelled_upload_leaves_nothing_and_takes_nothing(service: FileService) -> None:
    uploads = OwnedUploads(service, "alice")
    id = await begun(uploads, 4)
    await add(uploads, id, "one", b"ab")
    assert (await uploads.cancel(id)).status == "cancelled"
    assert (await uploads.cancel(id)).status == "cancelled"
    assert stored_bytes(service) == []
    with pytest.raises(InvalidRequestError, match="cancelled"):
        await add(uploads, id, "two", b"cd")
    with pytest.raises(InvalidRequestError):
        await uploads.complete(id, new_file(), ["one"], None)
    assert stored_bytes(service) == []


async def test_parts_have_the_bounds_of_files(service: FileService) -> None:
    uploads = OwnedUploads(service, "alice")
    with pytest.raises(FileTooLargeError):
        await begun(uploads, 1_000_001)
    id = await begun(uploads, 1_000_000)
    with pytest.raises(FileTooLargeError):
        await add(uploads, id, "large", b"x" * 1_000_001)
    with pytest.raises(InvalidRequestError, match="empty"):
        await add(uploads, id, "empty", b"")
    for number in range(3):
        await add(uploads, id, f"part {number}", bytes([number]) * 1_000_000)
    with pytest.raises(FilesFullError):
        await add(uploads, id, "more", b"y")


async def test_abandoned_upload_goes_with_its_bytes(
    options: StateOptions, file_options: FileOptions
) -> None:
    now = [1_000.0]
    async with aclosing(State(replace(options, now=lambda: now[0]))) as state:
        service = new_files(file_options, state)
        uploads = OwnedUploads(service, "alice")
        id = await begun(uploads, 4, expires_at=4_600.0)
        await add(uploads, id, "one", b"ab")
        now[0] = 4_600.0
        with pytest.raises(UploadNotFoundError):
            await add(uploads, id, "two", b"cd")
        await sweeper_of(state).forget_old()
        await service.remove_going()
        assert stored_bytes(service) == []


async def test_upload_of_another_owner_does_not_exist(service: FileService) -> None:
    id = await begun(OwnedUploads(service, "alice"), 2)
    bob = OwnedUploads(service, "bob")
    for act in (
        bob.get(id),
        add(bob, id, "one", b"ab"),
        bob.complete(id, new_file(), ["one"], None),
        bob.cancel(id),
    ):
        with pytest.raises(UploadNotFoundError):
            await act
