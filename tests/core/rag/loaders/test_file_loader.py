"""Files parsed in a process of their own, which may hang, crash and die."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from typing import TypeAlias

import psutil
import pytest

from llm_api.core.errors import UnavailableError, UnreadableFileError
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.loaders.loaded import FileLimits
from tests.core.rag.loaders.files import docx, paragraph, pdf

# Forty megabytes that become twenty million lines: it takes long, and much memory.
SLOW = b'{"a": [' + b"1," * 20_000_000 + b"1]}"


Parsers: TypeAlias = Callable[[], list[psutil.Process]]


def _all_parsers() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children()
        if "llm_api.core.rag.loaders.worker" in process.cmdline()
    ]


@pytest.fixture
def parsers() -> Parsers:
    """The processes that parse for this test; a server that others share may have its own."""
    before = _all_parsers()
    return lambda: [process for process in _all_parsers() if process not in before]


async def test_file_is_read_with_its_sections_and_metadata() -> None:
    async with FileLoader() as loader:
        found = await loader.load(pdf(["One", "Two"], title="T"), "dir/a.pdf")
    assert found.text == "One\n\nTwo\n\n"
    assert found.title == "T"
    assert [section.page for section in found.sections] == [1, 2]
    assert found.metadata == {"file_name": "a.pdf", "kind": "pdf", "pages": 2}


async def test_files_one_after_another_share_one_process_that_ends_with_the_loader(
    parsers: Parsers,
) -> None:
    async with FileLoader(processes=3) as loader:
        for number in range(5):
            await loader.load(b"words", f"{number}.txt")
        assert len(parsers()) == 1
    assert parsers() == []


async def test_refusal_names_the_file_without_its_folder() -> None:
    async with FileLoader() as loader:
        with pytest.raises(UnreadableFileError) as caught:
            await loader.load(b"", "../../secret/a.txt")
    assert caught.value.message == "It is empty."
    assert caught.value.code == "unreadable_file"


async def test_file_that_is_too_large_never_reaches_a_process(parsers: Parsers) -> None:
    async with FileLoader(FileLimits(file_bytes=10)) as loader:
        with pytest.raises(UnreadableFileError, match="larger than 10 bytes"):
            await loader.load(b"x" * 11, "a.txt")
        assert parsers() == []


async def test_largest_file_is_read_while_the_event_loop_goes_on() -> None:
    data = (b"some words in a line of text\n" * 1_800_000)[: FileLimits().file_bytes]
    delays = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            delays.append(time.perf_counter() - before)

    async with FileLoader() as loader:
        watching = asyncio.create_task(watch())
        found = await loader.load(data, "a.txt")
        watching.cancel()
    assert len(found.text) == len(data)
    assert max(delays) < 1.0


async def test_parser_that_takes_too_long_is_killed_and_the_next_file_is_read(
    parsers: Parsers,
) -> None:
    async with FileLoader(FileLimits(seconds=1.5), processes=1) as loader:
        with pytest.raises(UnreadableFileError, match=r"longer to read than 1\.5 seconds"):
            await loader.load(SLOW, "a.json")
        assert parsers() == []
        assert (await loader.load(b"words", "a.txt")).text == "words"


async def test_parser_that_takes_too_much_memory_is_stopped() -> None:
    async with FileLoader(FileLimits(memory_bytes=300_000_000), processes=1) as loader:
        with pytest.raises(UnreadableFileError, match="memory"):
            await loader.load(SLOW, "a.json")
        assert (await loader.load(b"words", "a.txt")).text == "words"


async def test_parser_that_crashes_fails_its_own_file_alone(parsers: Parsers) -> None:
    async with FileLoader(processes=1) as loader:
        await loader.load(b"words", "a.txt")
        task = asyncio.create_task(loader.load(SLOW, "a.json"))
        await asyncio.sleep(0.3)
        parsers()[0].send_signal(signal.SIGSEGV)
        with pytest.raises(UnreadableFileError, match="broke down"):
            await task
        assert (await loader.load(b"words", "b.txt")).text == "words"


async def test_cancelled_load_frees_its_process(parsers: Parsers) -> None:
    async with FileLoader(processes=1) as loader:
        task = asyncio.create_task(loader.load(SLOW, "a.json"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert parsers() == []
        assert (await loader.load(b"words", "a.txt")).text == "words"


async def test_process_is_told_nothing_of_the_environment(
    parsers: Parsers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    async with FileLoader() as loader:
        await loader.load(b"words", "a.txt")
        assert set(parsers()[0].environ()) <= {"PYTHONPATH", "LC_CTYPE"}


async def test_missing_interpreter_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with FileLoader() as loader:
        with pytest.raises(UnavailableError):
            await loader.load(b"words", "a.txt")


async def test_files_at_once_all_come_back_as_themselves(parsers: Parsers) -> None:
    async with FileLoader(processes=2) as loader:
        texts = await asyncio.gather(
            *(loader.load(docx(paragraph(f"words {number}")), "a.docx") for number in range(8))
        )
        assert len(parsers()) == 2
    assert [found.text for found in texts] == [f"words {number}" for number in range(8)]
