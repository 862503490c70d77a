"""Folders that are ingested as they change."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_api.cli.rag import watching
from llm_api.cli.rag.files import FoundFile, find_sources
from llm_api.cli.rag.fitness import Unfit
from llm_api.cli.rag.ingesting import Choices
from llm_api.core.errors import UnavailableError
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.sync import Deletion, SourceFile, SourceListing, SyncOutcome, compare
from tests.api.rag.conftest import Served, numbers, served
from tests.cli.command import environment

__all__ = ["served"]


@dataclass
class FakeLibrary:
    """Remembers hashes by document. Does not answer while `is_away`."""

    stored: dict[str, SourceFile] = field(default_factory=dict)
    syncs: int = 0
    is_away: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def sync(
        self, listing: SourceListing, deletion: Deletion | None, *, retries_failed: bool
    ) -> SyncOutcome:
        self.syncs += 1
        if self.is_away:
            self.changed.set()
            raise UnavailableError("No server answers.")
        found = compare(listing, self.stored, {}, {})
        if deletion is not None:
            for id in found.gone:
                del self.stored[id]
        self.changed.set()
        return found

    async def store(self, files: Sequence[FoundFile], report: Report) -> None:
        for file in files:
            self.stored[file.id] = SourceFile(file.digest, file.root)
            report(DocumentOutcome(file.id, "created", 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("words")
    return folder


async def until(library: FakeLibrary, ids: set[str]) -> None:
    async with asyncio.timeout(30):
        while library.stored.keys() != ids:
            await asyncio.sleep(0.02)


async def test_what_changes_is_stored_and_what_is_gone_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "QUIET_MILLISECONDS", 50)
    monkeypatch.setattr(watching, "MOST_MILLISECONDS", 200)
    monkeypatch.setattr(watching, "RETRY_MILLISECONDS", 300)
    library = FakeLibrary()
    choices = Choices("c", Deletion(is_confirmed=True))
    task = asyncio.create_task(
        watching.watch([folder], lambda: find_sources([folder]), library, choices)
    )
    try:
        await until(library, {"docs/a.md"})
        (folder / "deep").mkdir()
        (folder / "deep" / "b.md").write_text("more words")
        await until(library, {"docs/a.md", "docs/deep/b.md"})
        (folder / "a.md").unlink()
        await until(library, {"docs/deep/b.md"})
        library.is_away = True
        library.changed.clear()
        (folder / "c.md").write_text("while nobody answers")
        async with asyncio.timeout(30):
            await library.changed.wait()
        library.is_away = False  # nothing changes any more, and it is tried again
        await until(library, {"docs/deep/b.md", "docs/c.md"})
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_nothing_is_compared_or_read_where_nothing_has_changed(folder: Path) -> None:
    library = FakeLibrary()
    rounds = watching._Rounds(lambda: find_sources([folder]), library, Choices("c"))
    await rounds.run()
    await rounds.run()
    assert library.syncs == 1
    (folder / ".hidden").write_text("not meant")
    await rounds.run()
    assert library.syncs == 1
    reads: Counter[str] = Counter()
    unfit = FoundFile.unfit

    def counted(file: FoundFile) -> Unfit | None:
        reads[file.id] += 1
        return unfit(file)

    (folder / "b.md").write_text("words")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FoundFile, "unfit", counted)
        await rounds.run()
    assert library.syncs == 2
    assert reads == {"docs/a.md": 1, "docs/b.md": 1}


def test_ctrl_c_ends_it_without_a_complaint(served: Served, folder: Path) -> None:
    named = ("--url", served.url, "--collection", f"cli-{next(numbers)}")
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "llm_api", "ingest", "docs", "--watch", *named],
        cwd=folder.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "1 created\n"
        for line in process.stderr:
            if "watching" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert "Traceback" not in rest
