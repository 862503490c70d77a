"""Runs the command line in this process: for what needs neither a terminal nor an empty folder."""

from collections.abc import Callable
from io import StringIO
from typing import TypeAlias

import pytest

from llm_api.cli import main

Run: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the words of a command: its exit code, what it said on stdout and on stderr."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        code = ended.value.code
        return code if isinstance(code, int) else 0, said.out, said.err

    return run
