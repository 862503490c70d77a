"""The table of commands: what it says of them is what they are, and it imports none."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llm_api.cli.app import COMMANDS, app
from llm_api.cli.lazy import Noun, Verb, every_verb
from tests.cli.command import environment
from tests.cli.here import Run, run

__all__ = ["run"]

VERBS = dict(every_verb(COMMANDS))
HEAVY = "fastapi huggingface_hub llama_cpp mcp numpy qdrant_client sqlalchemy torch uvicorn"


def named(words: tuple[str, ...]) -> str:
    return " ".join(words)


@pytest.mark.parametrize("words", VERBS, ids=named)
def test_line_of_the_table_is_what_the_command_says_of_itself(words: tuple[str, ...]) -> None:
    module, _, name = VERBS[words].place.partition(":")
    said = getattr(import_module(module), name).__doc__ or ""
    assert " ".join(said.split("\n\n")[0].split()) == VERBS[words].line


@pytest.mark.parametrize("words", VERBS, ids=named)
def test_command_explains_itself_with_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "Example" in result.output
    assert f"llm-api {named(words)}" in result.output


@pytest.mark.parametrize("width", ["60", "120"])
def test_help_fits_the_terminal(width: str) -> None:
    for words in ([], ["rag"], ["chat"], ["keys", "create"]):
        shown = CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": width}).output
        assert max(map(len, shown.splitlines())) <= int(width)


def test_group_without_a_verb_shows_its_verbs(run: Run) -> None:
    for name, entry in COMMANDS.items():
        if isinstance(entry, Noun):
            _, said, told = run(name)
            assert all(verb in said + told for verb in entry.verbs)


def test_bare_command_shows_what_there_is(run: Run) -> None:
    code, said, _ = run()
    assert code == 0
    assert all(name in said for name in COMMANDS)


def test_older_name_works_and_is_not_shown(run: Run) -> None:
    for noun, new, old in (("keys", "delete", "revoke"), ("models", "delete", "remove")):
        _, shown, _ = run(noun, "--help")
        assert new in shown
        assert old not in shown
        assert run(noun, old, "--help")[1] == run(noun, new, "--help")[1]


def test_one_grammar_of_verbs() -> None:
    for name, entry in COMMANDS.items():
        if isinstance(entry, Noun):
            assert {"list", "show"} & entry.verbs.keys(), name
            assert not {"remove", "revoke", "get", "add"} & entry.verbs.keys()
        else:
            assert isinstance(entry, Verb)


def test_shell_completes_commands_and_options() -> None:
    def completed(words: str, place: int) -> list[str]:
        asked = {
            "_LLM_API_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(place),
        }
        return CliRunner().invoke(app, prog_name="llm-api", env=asked).output.split()

    assert completed("llm-api ", 1) == list(COMMANDS)
    assert completed("llm-api rag re", 2) == ["report", "reindex"]
    assert completed("llm-api rag search --j", 3) == ["--json"]


def test_mistyped_command_is_a_usage_error_that_names_the_likely_one(run: Run) -> None:
    code, _, told = run("sevre")
    assert code == 2
    assert "serve" in told
    code, _, told = run("rag", "serach")
    assert code == 2
    assert "search" in told


def test_help_imports_neither_settings_nor_what_takes_long(tmp_path: Path) -> None:
    program = f"""
import contextlib, io, sys
from llm_api.cli import main
heavy = {HEAVY.split()} + ["pydantic_settings", "httpx2", "asyncio"]
nouns = [[], {", ".join(f"[{name!r}]" for name, one in COMMANDS.items() if isinstance(one, Noun))}]
for words in nouns:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main([*words, "--help"])
print(sorted(set(heavy) & sys.modules.keys()))
heavy = {HEAVY.split()}
for words in {list(VERBS)}:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main([*words, "--help"])
print(sorted(set(heavy) & sys.modules.keys()))
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n[]\n"
