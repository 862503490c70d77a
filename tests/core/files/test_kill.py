"""A process that is killed between the bytes and their row: what it had acknowledged is there."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from llm_api.core.files.folder_storage import FolderStorage
from llm_api.core.files.opened import new_files
from llm_api.core.files.options import FileOptions
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import PageRequest
from llm_api.core.state.state import State
from tests.core.files.conftest import left_over, stored_bytes
from tests.core.files.samples import put, read
from tests.core.state.test_state import sweeper_of


class KillingStorage(FolderStorage):
    """Kills its process once the second bytes are there."""

    async def put(self, key: str, file: Path) -> None:
        await super().put(key, file)
        if len([*self.folder.glob("??/*")]) == 2:
            os.kill(os.getpid(), signal.SIGKILL)


async def store_two(folder: Path) -> None:
    state = State(StateOptions(folder / "state"))
    service = new_files(FileOptions(folder / "files"), state)
    service = replace(service, storage=KillingStorage(folder / "files"))
    await put(service.of("alice"), b"first")
    await put(service.of("alice"), b"second")


async def test_killed_process_loses_no_file_and_its_bytes_are_removed(tmp_path: Path) -> None:
    code = (
        "import asyncio; from pathlib import Path;"
        "from tests.core.files.test_kill import store_two;"
        f"asyncio.run(store_two(Path({str(tmp_path)!r})))"
    )
    ended = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    much_later = StateOptions(tmp_path / "state", now=lambda: 4e9)
    async with aclosing(State(much_later)) as state:
        service = new_files(FileOptions(tmp_path / "files"), state)
        files = service.of("alice")
        assert stored_bytes(service) == [b"first", b"second"]
        [kept] = (await files.list(PageRequest())).entries
        await sweeper_of(state).forget_old()
        await service.remove_going()
        assert stored_bytes(service) == [b"first"]
        assert await read(files, kept) == b"first"
        assert left_over(service) == []  # it was moved to its place
