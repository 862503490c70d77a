"""Files in a bucket, over the wire to a real server of another project."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from llm_api.core.errors import StateUnavailableError, StoredFileNotFoundError
from llm_api.core.files.files import FileService
from llm_api.core.files.opened import new_files
from llm_api.core.files.options import FileOptions, S3Options
from llm_api.core.files.s3_storage import S3Storage
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.core.files.conftest import left_over
from tests.core.files.samples import put, read
from tests.s3_server import BUCKET, running_s3

KEYS = {"region": "us-east-1", "access_key_id": "id", "secret_access_key": "secret"}


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with running_s3() as url:
        yield url


@pytest.fixture
async def service(s3_url: str, tmp_path: Path) -> AsyncGenerator[FileService, None]:
    s3 = S3Options(BUCKET, s3_url, prefix="kept", **KEYS)
    async with aclosing(State(StateOptions(tmp_path / "state"))) as state:
        yield new_files(FileOptions(tmp_path / "files", s3=s3), state)


async def test_file_lies_in_the_bucket_until_its_last_name_goes(service: FileService) -> None:
    alice, bob = service.of("alice"), service.of("bob")
    data = bytes(range(256)) * 30_000  # in parts, on the wire
    first, second = await put(alice, data), await put(bob, data)
    assert first.key == second.key
    await alice.delete(first.id)
    assert await read(bob, second) == data
    await bob.delete(second.id)
    assert not await service.storage.has(second.key)
    assert left_over(service) == []
    with pytest.raises(StoredFileNotFoundError):
        await read(bob, second)


async def test_bytes_that_are_removed_already_are_no_error(service: FileService) -> None:
    await service.storage.remove("0123-never-there")


async def test_bucket_that_is_not_there_is_told_and_stores_nothing(
    service: FileService, s3_url: str
) -> None:
    elsewhere = S3Storage(S3Options("another-bucket", s3_url, **KEYS))
    missing = FileService(service.state, elsewhere, service.folder, 1000, 1000)
    with pytest.raises(StateUnavailableError):
        await put(missing.of("carol"), b"words")
    assert left_over(service) == []
