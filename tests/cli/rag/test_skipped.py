"""Files that are no documents: named, counted, and in nobody's way."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_api.cli.rag.files import FoundFile, find_sources
from llm_api.cli.rag.fitness import MAX_FILE_BYTES, Unfit, why_unfit
from llm_api.cli.rag.ingesting import Choices, ingest_sources
from llm_api.core.errors import UnavailableError
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.sync import Deletion, SourceListing, SyncOutcome, compare
from tests.api.rag.conftest import Served, numbers, served
from tests.cli.here import Run, run

__all__ = ["run", "served"]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.mark.parametrize(
    ("head", "size", "why"),
    [
        (b"", 0, "empty"),
        (b"words", 5, None),
        (b"words", MAX_FILE_BYTES, None),
        (b"words", MAX_FILE_BYTES + 1, "too large"),
        (b"\x7fELF\x02", 9_000, "binary"),
        (b"SQLite format 3\0" + bytes(range(9)), 9_000, "binary"),
        ("Wörter in UTF-16".encode("utf-16"), 30, None),
        ("words in UTF-16 without a mark".encode("utf-16-le"), 60, None),
        (b"%PDF-1.7\n\0\0", 9_000, None),
        (PNG, 9_000, None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), 9_000, None),
    ],
)
def test_fitness_is_judged_by_size_and_first_bytes(
    head: bytes, size: int, why: Unfit | None
) -> None:
    assert why_unfit(head, size, "x") == why


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("words of rivers")
    (folder / "empty.md").touch()
    (folder / "tool.bin").write_bytes(bytes(range(256)))
    (folder / "photo.png").write_bytes(PNG)
    with (folder / "movie.mp4").open("wb") as file:
        os.truncate(file.fileno(), 1_100_000_000)  # a hole: takes no room
    (folder / "z.md").write_text("words of bridges")
    return folder


def test_what_is_no_document_is_named_and_all_else_is_stored(
    served: Served, folder: Path, run: Run
) -> None:
    named = ("--url", served.url, "--collection", f"cli-{next(numbers)}")
    code, said, told = run("ingest", str(folder), *named)
    assert (code, said) == (0, "2 created, 4 skipped\n")
    lines = sorted(told.splitlines())
    assert lines[0] == "skipped, empty: docs/empty.md"
    assert lines[1] == "skipped, larger than 50 MB: docs/movie.mp4 (1.1 GB)"
    assert lines[2] == "skipped, no text: docs/tool.bin"
    assert lines[3].startswith("skipped, pictures: docs/photo.png. It is an image; RAG_OCR=auto")
    code, said, _ = run("ingest", str(folder), "--prune", *named)
    assert (code, said) == (0, "4 skipped, 2 unchanged\n")
    code, said, _ = run("ingest", str(folder), "--json", *named)
    assert said == '{\n  "skipped": 4,\n  "unchanged": 2\n}\n'


class Failing:
    """Stores so many files, then its server is gone."""

    def __init__(self, most: int) -> None:
        self.most = most

    async def sync(
        self, listing: SourceListing, deletion: Deletion | None, *, retries_failed: bool
    ) -> SyncOutcome:
        return compare(listing, {}, {}, {})

    async def store(self, files: Sequence[FoundFile], report: Report) -> None:
        for file in files[: self.most]:
            report(DocumentOutcome(file.id, "created", 1))
        raise UnavailableError("No server answers.")


async def test_lost_server_is_one_sentence_that_says_what_is_stored(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    with pytest.raises(UnavailableError) as lost:
        await ingest_sources(find_sources([tmp_path]), Failing(2), Choices("c"))
    assert lost.value.message == (
        "No server answers. 2 of 5 files are stored; the same command again goes on with the rest."
    )
