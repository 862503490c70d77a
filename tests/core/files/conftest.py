"""The files of an empty server, in a folder, with a state in either database."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from llm_api.core.files.files import FileService
from llm_api.core.files.folder_storage import FolderStorage
from llm_api.core.files.opened import new_files
from llm_api.core.files.options import FileOptions
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.core.state.conftest import options as options  # noqa: PLC0414 - a fixture


@pytest.fixture
def file_options(tmp_path: Path) -> FileOptions:
    return FileOptions(tmp_path / "files", max_bytes=1_000_000, owner_max_bytes=3_000_000)


@pytest.fixture
async def service(
    options: StateOptions, file_options: FileOptions
) -> AsyncGenerator[FileService, None]:
    async with aclosing(State(options)) as state:
        yield new_files(file_options, state)


def stored_bytes(service: FileService) -> list[bytes]:
    """All that lies in the folder, without what is arriving."""
    assert isinstance(service.storage, FolderStorage)
    folder = service.storage.folder
    return sorted(one.read_bytes() for one in folder.glob("??/*"))


def left_over(service: FileService) -> list[Path]:
    """What is arriving, or was left there."""
    return [*service.folder.iterdir()] if service.folder.exists() else []
