"""What a person sees of a long command, and that an interrupted one leaves nothing behind."""

import io
import os
import sys
import time
from pathlib import Path

import pytest

from scripts.setup.progress import Progress, Screen, describe, read_progress, run

PIP_LOG = """\
  *** Configuring CMake...
  [1/112] /usr/bin/cc -O3 -c ggml.c
  ggml.c: In function 'x': note [9/9]
  [63/112] /usr/bin/c++ -O3 -c llama.cpp
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("log", "seconds", "shown"),
    [
        (PIP_LOG, 90, "llama.cpp 63/112, 1:30, about 1:10 left"),
        (PIP_LOG, 4, "llama.cpp 63/112, 0:04"),
        ("[0/112] Re-checking globbed directories...\n", 90, "llama.cpp 0/112, 1:30"),
        ("Collecting numpy\n\n", 3, "llama.cpp, 0:03: Collecting numpy"),
        ("", 3, "llama.cpp, 0:03"),
    ],
)
def test_progress_is_read_from_the_end_of_a_log(log: str, seconds: float, shown: str) -> None:
    assert describe(read_progress("llama.cpp", seconds, log)) == shown


def test_what_is_left_is_told_from_the_time_since_it_counts() -> None:
    progress = read_progress("llama.cpp", 90, PIP_LOG, counting_since=27)
    assert describe(progress) == "llama.cpp 63/112, 1:30, about 0:49 left"


def test_on_a_terminal_one_line_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "21")
    screen = Screen(terminal := Terminal())
    for done in (1, 2):
        screen.show(Progress("llama.cpp", done, done, 83))
    screen.show(Progress("packages", 3, latest="Downloading numpy (15.8MiB)"))
    first, second, third = terminal.getvalue().split("\r\033[K")[1:]
    assert (first, second) == ("llama.cpp 1/83, 0:01", "llama.cpp 2/83, 0:02")
    assert third == "packages, 0:03: Down"
    assert "\n" not in terminal.getvalue()


def test_elsewhere_lines_are_few() -> None:
    screen = Screen(file := io.StringIO())
    for tick in range(5 * 60):
        screen.show(Progress("llama.cpp", tick / 5, tick, 300))
    shown = file.getvalue().splitlines()
    assert [line.split(",")[1] for line in shown] == [" 0:20", " 0:40"]
    screen.say("llama.cpp: 1:00")
    assert file.getvalue().endswith("\nllama.cpp: 1:00\n")


@pytest.mark.parametrize(("status", "succeeded"), [(0, True), (3, False)])
def test_a_command_leaves_its_log(tmp_path: Path, status: int, succeeded: bool) -> None:
    log = tmp_path / "logs" / "step.log"
    program = f"import sys; print('said'); sys.exit({status})"
    assert run("step", [sys.executable, "-c", program], log, Screen(io.StringIO())) is succeeded
    assert log.read_text(encoding="utf-8") == "said\n"


class Impatient(Screen):
    """Presses Ctrl-C once the command has begun."""

    def show(self, progress: Progress) -> None:
        if progress.latest:
            raise KeyboardInterrupt


def test_an_interrupted_command_ends_with_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    command = ["sh", "-c", "sleep 60 & echo $!; wait"]
    with pytest.raises(KeyboardInterrupt):
        run("step", command, log, Impatient(io.StringIO()))
    started = int(log.read_text(encoding="utf-8"))
    deadline = time.monotonic() + 20
    while Path(f"/proc/{started}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(started, 0)
