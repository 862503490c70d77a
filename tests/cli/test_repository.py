"""Repositories read at a ref, and what of a folder Git leaves out."""

import subprocess
from pathlib import Path

import pytest

from llm_api.cli.rag import repository
from llm_api.cli.rag.files import FoundSource, find_files
from llm_api.cli.rag.repository import is_repository_url, tracked_files
from llm_api.core.errors import UnreadableFileError


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=m")
    done = subprocess.run(  # noqa: S603 - our own arguments
        ["git", *identity, *arguments],  # noqa: S607 - the system's
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of two commits, the first tagged, and what is not tracked."""
    tree = tmp_path / "handbook"
    (tree / "docs").mkdir(parents=True)
    git(tree, "init", "--quiet")
    (tree / "docs" / "guide.md").write_text("old words")
    (tree / ".hidden").write_text("secret")
    (tree / "link.md").symlink_to("/etc/passwd")
    (tree / "empty.md").touch()
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "-m", "one")
    git(tree, "tag", "v1")
    (tree / "docs" / "guide.md").write_text("new words")
    (tree / "über uns.md").write_text("words of us")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "-m", "two")
    (tree / "docs" / "guide.md").write_text("not committed")
    (tree / "untracked.md").write_text("not tracked")
    return tree


def texts(source: FoundSource) -> dict[str, str]:
    return {id: file.read().decode() for id, file in source.files.items()}


def test_tracked_files_are_those_of_the_commit(tree: Path) -> None:
    with tracked_files(str(tree)) as found:
        assert texts(found) == {
            "handbook/docs/guide.md": "new words",
            "handbook/empty.md": "",
            "handbook/über uns.md": "words of us",
        }
        assert (found.name, found.is_complete) == ("handbook", True)
        file = found.files["handbook/docs/guide.md"]
        assert [one.unfit() for one in found.files.values()] == [None, "empty", None]
        assert not file.is_picture()
        assert file.metadata == {
            "source_root": found.root,
            "git_commit": git(tree, "rev-parse", "HEAD"),
        }
        assert file.size == len("new words")
    with tracked_files(str(tree), "v1", "book") as found:
        assert texts(found) == {"book/docs/guide.md": "old words", "book/empty.md": ""}
        assert found.root == "book"


@pytest.fixture
def machine(tree: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder that stands for another machine: its protocol is permitted here alone."""
    monkeypatch.setattr(repository, "is_repository_url", lambda _: True)
    options = (*repository._OPTIONS, "-c", "protocol.file.allow=always")
    monkeypatch.setattr(repository, "_OPTIONS", options)
    return f"file://{tree}"


def test_repository_that_is_too_large_is_not_fetched(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "MAX_FETCHED_BYTES", 1_000)
    with (
        pytest.raises(UnreadableFileError, match="more than 1,000 bytes"),
        tracked_files(machine),
    ):
        pass


def test_repository_that_is_too_slow_is_not_fetched(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(repository, "FETCH_SECONDS", -1)
    with pytest.raises(UnreadableFileError, match="did not end within"), tracked_files(machine):
        pass


def test_repository_of_another_machine_is_fetched_without_its_history(
    machine: str, tree: Path
) -> None:
    with tracked_files(machine, "v1") as found:
        assert texts(found) == {"handbook/docs/guide.md": "old words", "handbook/empty.md": ""}
        file = found.files["handbook/docs/guide.md"]
        assert file.metadata["git_url"] == machine
        assert file.metadata["git_commit"] == git(tree, "rev-parse", "v1")
        place = file.path.parent.parent
        assert git(place, "rev-list", "--all", "--count") in ("0", "1")
    assert not place.exists()


def test_hook_of_a_repository_is_not_run(tree: Path) -> None:
    hook = tree / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tree}/ran\n")
    hook.chmod(0o755)
    git(tree, "config", "core.fsmonitor", f"touch {tree}/ran")
    with tracked_files(str(tree)) as found:
        texts(found)
    assert not (tree / "ran").exists()


@pytest.mark.parametrize("ref", ["nothing", "--upload-pack=touch x", "v1\n", "HEAD:docs"])
def test_ref_that_is_none_is_said_in_one_line(tree: Path, ref: str) -> None:
    with pytest.raises(UnreadableFileError) as error, tracked_files(str(tree), ref):
        pass
    assert "\n" not in error.value.message


def test_folder_that_is_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="git rev-parse"), tracked_files(str(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("text", "is_url"),
    [
        ("https://example.com/team/handbook.git", True),
        ("ssh://git@example.com/handbook", True),
        ("git@example.com:team/handbook.git", True),
        ("file:///srv/handbook", False),
        ("ext::sh -c id", False),
        ("git://example.com/x", False),
        ("docs/", False),
        ("../docs", False),
    ],
)
def test_url_of_a_repository_is_known_by_its_form(text: str, is_url: bool) -> None:
    assert is_repository_url(text) == is_url


def test_other_protocols_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "is_repository_url", lambda _: True)
    for url in ("ext::touch ran", f"file://{tmp_path}"):
        with pytest.raises(UnreadableFileError, match="not allowed"), tracked_files(url):
            pass


def test_credentials_of_a_url_are_kept_nowhere() -> None:
    url = "https://me:secret@example.com/team/handbook.git"
    assert repository._without_credentials(url) == "https://example.com/team/handbook.git"


def test_what_gitignore_names_is_left_out(tmp_path: Path) -> None:
    for name, text in {
        ".git/config": "",
        ".gitignore": "build/\n*.log\n!keep.log\n/top.md\n",
        "docs/.gitignore": "drafts\n!other.log\n",
        "docs/a.md": "a",
        "docs/top.md": "b",
        "docs/x.log": "c",
        "docs/keep.log": "d",
        "docs/other.log": "e",
        "docs/drafts/f.md": "f",
        "docs/build/g.md": "g",
        "docs/build.md": "h",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    folder = tmp_path / "docs"
    named = ["docs/a.md", "docs/build.md", "docs/keep.log", "docs/other.log", "docs/top.md"]
    assert [file.name for file in find_files([folder])] == named
    assert len(find_files([folder], ignores=False)) == 8
    assert [file.name for file in find_files([folder / "x.log"])] == ["docs/x.log"]
