"""`llm-api ingest`, into a folder of its own and through a server."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.cli.rag import ingesting
from llm_api.cli.rag.files import FoundFile, find_files, find_sources
from llm_api.cli.rag.server_library import TOGETHER_FILES, server_library
from llm_api.config.settings import load_settings
from llm_api.core.errors import InvalidRequestError, UnavailableError, UnreadableFileError
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.sync import Deletion, SourceListing
from tests.api.rag.conftest import Served, numbers, served
from tests.cli.command import llm_api

__all__ = ["served"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    for name, text in {
        "guide.md": "# Guide\n\nwords of rivers",
        "deep/notes.txt": "notes of bridges",
        ".hidden": "secret",
        ".git/config": "secret",
        "node_modules/x.js": "code of others",
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def names(paths: Sequence[Path]) -> list[str]:
    return [file.name for file in find_files(paths)]


def test_folders_are_walked_and_hidden_files_left_out(folder: Path) -> None:
    assert names([folder]) == ["docs/deep/notes.txt", "docs/guide.md"]


def test_file_that_is_named_is_taken_whatever_it_is(folder: Path) -> None:
    assert names([folder / ".hidden"]) == ["docs/.hidden"]


def test_same_file_twice_is_one(folder: Path) -> None:
    assert names([folder, folder]) == names([folder])


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = twins(tmp_path)
    with pytest.raises(UnreadableFileError, match=r"would both be the document 'docs/x\.txt'"):
        find_files(paths)


def twins(place: Path) -> list[Path]:
    """Two files of one name, in two folders of one name."""
    paths = [place / parent / "docs" / "x.txt" for parent in ("a", "b")]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_text(path.parent.parent.name)
    return paths


def test_files_of_one_name_in_different_folders_are_two_documents(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(name)
    found = names([tmp_path / "a" / "README.md", tmp_path / "b" / "README.md"])
    assert found == ["a/README.md", "b/README.md"]
    assert names([tmp_path / "a"]) == ["a/README.md"]


def test_name_that_was_given_takes_the_folders_place(tmp_path: Path) -> None:
    for path in twins(tmp_path):
        (found,) = find_files([path], source="manual")
        assert (found.id, found.root) == ("manual/x.txt", "manual")


def test_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="nothing"):
        find_files([tmp_path / "nothing"])


def store(
    url: str, collection: str, paths: Sequence[Path], source: str | None = None
) -> list[DocumentOutcome]:
    """What the server reports of the files that it does not have yet."""

    async def run() -> list[DocumentOutcome]:
        outcomes: list[DocumentOutcome] = []
        async with server_library(load_settings(), url, None, collection) as library:
            for found in find_sources(paths, source):
                hashes = {id: file.digest for id, file in found.files.items()}
                listing = SourceListing(collection, found.name, found.root, hashes)
                wanted = await library.sync(listing, None, retries_failed=False)
                files = [found.files[id] for id in (*wanted.new, *wanted.changed)]
                await library.store(files, outcomes.append)
        return outcomes

    return asyncio.run(run())


def test_server_gets_what_has_changed_and_nothing_else(served: Served, folder: Path) -> None:
    collection = f"cli-{next(numbers)}"
    first = store(served.url, collection, [folder])
    assert [(one.document_id, one.what) for one in first] == [
        ("docs/deep/notes.txt", "created"),
        ("docs/guide.md", "created"),
    ]
    assert store(served.url, collection, [folder]) == []
    (folder / "guide.md").write_text("other words")
    assert [(one.document_id, one.what) for one in store(served.url, collection, [folder])] == [
        ("docs/guide.md", "replaced")
    ]


def test_another_folders_file_is_never_replaced_without_a_word(
    served: Served, tmp_path: Path
) -> None:
    collection = f"cli-{next(numbers)}"
    one, other = (path.parent for path in twins(tmp_path))
    assert [(had.document_id, had.what) for had in store(served.url, collection, [one])] == [
        ("docs/x.txt", "created")
    ]
    with pytest.raises(InvalidRequestError, match=r"'docs/x\.txt' .* `--source NAME`"):
        store(served.url, collection, [other])
    assert store(served.url, collection, [one]) == []
    (had,) = store(served.url, collection, [other], source="other")
    assert (had.document_id, had.what) == ("other/x.txt", "created")
    assert store(served.url, collection, [other], source="other") == []
    (had,) = store(served.url, collection, [other], source="docs")
    assert (had.document_id, had.what) == ("docs/x.txt", "replaced")


def test_folders_that_are_named_together_are_stored_together(
    served: Served, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"words of {name}")
    collection = f"cli-{next(numbers)}"
    both = [tmp_path / "a", tmp_path / "b"]
    assert [had.document_id for had in store(served.url, collection, both)] == [
        "a/README.md",
        "b/README.md",
    ]
    assert store(served.url, collection, both) == []


def test_files_that_cannot_be_read_are_named_one_by_one(served: Served, tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(b"%PDF-1.7 nothing")
    outcomes = store(served.url, f"cli-{next(numbers)}", [tmp_path])
    assert [(one.document_id.partition("/")[2], one.what) for one in outcomes] == [
        ("a.pdf", "failed"),
        ("b.pdf", "failed"),
    ]
    assert "a.pdf" not in outcomes[0].reason


def test_more_files_than_go_together_are_all_stored(served: Served, tmp_path: Path) -> None:
    for number in range(TOGETHER_FILES + 2):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    outcomes = store(served.url, f"cli-{next(numbers)}", [tmp_path])
    assert [one.what for one in outcomes] == ["created"] * (TOGETHER_FILES + 2)


def test_server_that_is_not_there_or_refuses_is_said_in_one_line(
    served: Served, folder: Path
) -> None:
    with pytest.raises(UnavailableError, match="ingest --local"):
        store("http://127.0.0.1:1", "any", [folder])
    with pytest.raises(InvalidRequestError, match="Unknown request URL"):
        store(f"{served.url}/elsewhere", "any", [folder])
    with pytest.raises(InvalidRequestError, match="is no URL"):
        store("ftp:/x", "any", [folder])


def test_command_stores_locally_and_skips_what_has_not_changed(folder: Path) -> None:
    place = folder.parent
    first = llm_api(place, "ingest", "docs", "--local")
    assert (first.returncode, first.stdout) == (0, "2 created\n")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    second = llm_api(place, "ingest", "docs", "--local")
    assert (second.returncode, second.stdout) == (1, "1 failed, 2 unchanged\n")
    assert "docs/bad.pdf: " in second.stderr
    third = llm_api(place, "ingest", "docs", "--local")
    assert (third.returncode, third.stdout) == (1, "1 failed, 2 unchanged\n")
    assert "It has not changed since" in third.stderr
    report = llm_api(place, "rag", "report", "--local")
    assert report.returncode == 0, report.stderr
    assert report.stdout.startswith("default: 2 documents, 2 chunks, ")
    assert "failed: 1\n  docs/bad.pdf: " in report.stdout
    assert (place / "data" / "vectors").is_dir()


def test_path_that_is_not_there_ends_with_one_line(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "ingest", "nothing", "--local")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: There is no file or folder 'nothing'.\n"


def command(served: Served, collection: str, folder: Path, *more: str) -> tuple[int, str, str]:
    named = ("--url", served.url, "--collection", collection)
    done = llm_api(folder.parent, "ingest", folder.name, *named, *more)
    return done.returncode, done.stdout, done.stderr


def test_documents_of_files_that_are_gone_go_when_that_is_wanted(
    served: Served, folder: Path
) -> None:
    collection = f"cli-{next(numbers)}"
    for number in range(8):
        (folder / f"{number}.txt").write_text(f"text {number}")
    assert command(served, collection, folder)[:2] == (0, "10 created\n")
    (folder / "7.txt").unlink()
    code, said, told = command(served, collection, folder)
    assert (code, said) == (0, "1 gone, 9 unchanged\n")
    assert "docs/7.txt: gone from the folder, and still stored; --prune" in told
    assert command(served, collection, folder, "--prune")[1] == "1 deleted, 9 unchanged\n"
    for number in range(5):
        (folder / f"{number}.txt").unlink()
    code, said, told = command(served, collection, folder, "--prune")
    assert (code, said) == (1, "")
    assert "lacks 5 of the 9 documents of 'docs'" in told
    assert command(served, collection, folder, "--prune", "--confirm")[1] == (
        "5 deleted, 4 unchanged\n"
    )


def test_more_files_than_one_sync_takes_are_listed_in_ranges(
    served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "LISTED_AT_ONCE", 3)
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"text {number}")
    collection = f"cli-{next(numbers)}"
    choices = ingesting.Choices(collection, Deletion(max_share=0.5))

    async def run() -> dict[str, int]:
        async with server_library(load_settings(), served.url, None, collection) as library:
            counts = await ingesting.ingest_sources(find_sources([folder]), library, choices)
        return {what: count for what, count in counts.items() if count}

    assert asyncio.run(run()) == {"created": 8}
    (folder / "1.txt").unlink()
    assert asyncio.run(run()) == {"unchanged": 7, "deleted": 1}


def test_file_that_cannot_be_opened_counts_as_there(served: Served, folder: Path) -> None:
    collection = f"cli-{next(numbers)}"
    assert command(served, collection, folder)[1] == "2 created\n"
    (folder / "guide.md").unlink()
    (folder / "guide.md").symlink_to(folder / "guide.md.lost")
    found = find_sources([folder])[0]
    unreadable = FoundFile(folder / "nothing", "docs/guide.md", found.root)
    files = {**found.files, unreadable.id: unreadable}

    async def run() -> dict[str, int]:
        async with server_library(load_settings(), served.url, None, collection) as library:
            choices = ingesting.Choices(collection, Deletion(is_confirmed=True))
            counts = await ingesting.ingest_sources([replace(found, files=files)], library, choices)
        return {what: count for what, count in counts.items() if count}

    assert asyncio.run(run()) == {"failed": 1, "unchanged": 1}


def test_report_says_what_is_in_a_collection(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nwords")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    named = ("--url", served.url)
    collection = f"cli-{next(numbers)}"
    llm_api(tmp_path, "ingest", "docs", *named, "--collection", collection)
    done = llm_api(tmp_path, "rag", "report", collection, *named)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].startswith(f"{collection}: 1 documents, 1 chunks, ")
    assert any(line.startswith("folder docs 1 1 ") for line in lines)
    assert any(line.startswith("kind markdown 1 1 ") for line in lines)
    assert "failed: 1" in lines
    assert any(line.startswith("docs/bad.pdf: ") for line in lines)
    assert lines[-1] == "stale: 0"
