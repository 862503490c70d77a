"""`llm-api rag`: what is stored, searched, asked and deleted, through a server and without one."""

import json
from pathlib import Path

import pytest
from filelock import FileLock

from tests.api.rag.conftest import Served, numbers, served
from tests.cli.here import Run, run

__all__ = ["run", "served"]


@pytest.fixture
def where(served: Served, tmp_path: Path, run: Run) -> tuple[str, ...]:
    """The options that name a collection of three documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "rivers.md").write_text("# Rivers\n\nThe Danube is a long river.")
    (folder / "bread.md").write_text("Sourdough bread rises by yeast.")
    (folder / "table.csv").write_text("name,length\nRhine,1233\n")
    named = ("--url", served.url, "--collection", f"cli-{next(numbers)}")
    assert run("ingest", str(folder), *named)[:2] == (0, "3 created\n")
    return named


def test_documents_are_listed_and_shown(where: tuple[str, ...], run: Run) -> None:
    code, said, told = run("rag", "list", *where)
    assert (code, told) == (0, "")
    assert [line.split()[:2] for line in said.splitlines()] == [
        ["id", "kind"],
        ["docs/bread.md", "markdown"],
        ["docs/rivers.md", "markdown"],
        ["docs/table.csv", "csv"],
    ]
    assert "\x1b" not in said
    code, said, told = run("rag", "show", "docs/rivers.md", *where)
    assert (code, said) == (0, "# Rivers\n\nThe Danube is a long river.\n")
    assert "kind: markdown" in told.splitlines()


def test_list_is_filtered_bounded_and_given_to_programs(where: tuple[str, ...], run: Run) -> None:
    _, said, _ = run("rag", "list", *where, "--filter", '{"kind": "csv"}', "--json")
    assert [one["id"] for one in json.loads(said)] == ["docs/table.csv"]
    _, said, told = run("rag", "list", *where, "--limit", "2")
    assert len(said.splitlines()) == 3
    assert told == "There are more; --limit shows more than 2.\n"
    code, said, told = run("rag", "list", *where, "--filter", '{"kind": "pdf"}')
    assert (code, said) == (0, "")
    assert "There is no such document" in told


def test_search_shows_passages_with_their_places(where: tuple[str, ...], run: Run) -> None:
    code, said, _ = run("rag", "search", "long river", *where, "--top-k", "1")
    assert code == 0
    head, passage = said.splitlines()
    assert head.startswith("1. docs/rivers.md (Rivers), ")
    assert "Danube" in passage
    found = json.loads(run("rag", "search", "long river", *where, "--json")[1])
    assert found["data"][0]["document_id"] == "docs/rivers.md"
    code, _, told = run("rag", "search", "x", *where, "--filter", "{")
    assert (code, told) == (1, 'Error: --filter is no JSON, such as {"kind": "pdf"}.\n')


def test_question_is_answered_with_sources(where: tuple[str, ...], run: Run) -> None:
    code, said, told = run("rag", "ask", "Which river is long?", *where)
    assert code == 0
    assert said.strip()
    assert "docs/rivers.md" in told
    answer = json.loads(run("rag", "ask", "Which river is long?", *where, "--json")[1])
    assert answer["object"] == "rag.answer"
    assert answer["answer"].strip() == said.strip()


def test_documents_go_one_by_one_by_filter_and_all(where: tuple[str, ...], run: Run) -> None:
    assert run("rag", "delete", "docs/bread.md", *where)[:2] == (0, "1 documents deleted\n")
    code, _, told = run("rag", "delete", "docs/bread.md", *where)
    assert code == 1
    assert "There is no document 'docs/bread.md'" in told
    csv = ("--filter", '{"kind": "csv"}')
    code, _, told = run("rag", "delete", *csv, *where)
    assert code == 2
    assert "--yes" in told
    assert run("rag", "delete", *csv, "--yes", *where)[1] == "1 documents deleted\n"
    assert run("rag", "delete", "--everything", "-y", "--json", *where)[1] == (
        '{\n  "collections": 1\n}\n'
    )
    assert run("rag", "list", *where)[0] == 1


@pytest.mark.parametrize("wanted", [(), ("a", "--everything"), ("--filter", "{}", "--everything")])
def test_what_is_to_be_deleted_is_said_in_one_way(wanted: tuple[str, ...], run: Run) -> None:
    assert run("rag", "delete", *wanted)[0] == 2


def test_collections_are_listed(where: tuple[str, ...], run: Run) -> None:
    url, name = where[:2], where[3]
    code, said, _ = run("rag", "collections", *url)
    assert code == 0
    (line,) = [line for line in said.splitlines() if line.startswith(f"{name} ")]
    assert line.split()[1:] == ["3", "4", "words", "ready"] or "ready" in line
    assert name in {one["name"] for one in json.loads(run("rag", "collections", *url, "--json")[1])}


def test_without_a_server_the_same_is_said_of_what_is_here(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, told = run("rag", "collections", "--local")
    assert (code, said) == (0, "")
    assert told == "There is no collection yet; `llm-api ingest FOLDER` makes one.\n"
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    "command", [("rag", "reindex"), ("rag", "list", "--local"), ("ingest", ".", "--local")]
)
def test_beside_a_running_server_it_is_refused_before_anything_is_loaded(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBEDDING_MODEL_NAME", "absent.gguf")
    (tmp_path / "data" / "vectors").mkdir(parents=True)
    with FileLock(tmp_path / "data" / "vectors" / "lock"):
        code, said, told = run(*command)
    assert (code, said) == (1, "")
    assert told.startswith("Error: A server has the documents in 'data/vectors' open")


@pytest.mark.parametrize("command", ["collections", "list", "report", "search x", "ask x"])
def test_absent_server_ends_each_in_one_line(run: Run, command: str) -> None:
    code, said, told = run("rag", *command.split(), "--url", "http://127.0.0.1:1")
    assert (code, said.strip()) == (1, "")
    assert told.startswith("Error: No server answers at http://127.0.0.1:1; start one with")
    assert len(told.splitlines()) == 1
