"""Runs a long command and shows how far it is: a line that moves, or plain ones where none can.

The command writes into a log file, which is kept, and whose end is read for what to show.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

_NINJA_STEP: Final = re.compile(r"^\s*\[(\d+)/(\d+)\] ", re.MULTILINE)
_TAIL_BYTES: Final = 65_536
_REDRAW_SECONDS: Final = 0.2
_PLAIN_SECONDS: Final = 20.0
# Before that, what is left is a guess: the first files are not like the others.
_ESTIMATE_AFTER_SECONDS: Final = 5.0
_LEAVE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command has come. `total` is 0 where it does not count."""

    name: str
    seconds: float
    done: int = 0
    total: int = 0
    latest: str = ""  # the last line that it wrote
    counting_since: float = 0.0


def read_progress(name: str, seconds: float, log: str, counting_since: float = 0.0) -> Progress:
    """What the end of a log says: ninja's `[63/112]`, or the last line. Pure."""
    steps = _NINJA_STEP.findall(log)
    done, total = map(int, steps[-1]) if steps else (0, 0)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return Progress(name, seconds, done, total, lines[-1] if lines else "", counting_since)


def describe(progress: Progress) -> str:
    """`llama.cpp 63/112, 1:30, about 1:10 left`. Pure."""
    head, clock = progress.name, clock_text(progress.seconds)
    if not progress.total:
        return f"{head}, {clock}{': ' + progress.latest if progress.latest else ''}"
    text = f"{head} {progress.done}/{progress.total}, {clock}"
    counted = progress.seconds - progress.counting_since
    if not progress.done or counted < _ESTIMATE_AFTER_SECONDS:
        return text
    left = counted / progress.done * (progress.total - progress.done)
    return f"{text}, about {clock_text(left)} left"


def clock_text(seconds: float) -> str:
    """Minutes and seconds: `1:05`. Pure."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Screen:
    """Where progress is shown: on a terminal in one line, elsewhere in a few."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._quiet_until = _PLAIN_SECONDS

    def show(self, progress: Progress) -> None:
        line = describe(progress)
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\033[K{line[:width]}")
        elif progress.seconds >= self._quiet_until:
            self._quiet_until = progress.seconds + _PLAIN_SECONDS
            self._write(f"{line[:120]}\n")

    def say(self, line: str) -> None:
        """A line that stays."""
        self._quiet_until = _PLAIN_SECONDS
        self._write(f"\r\033[K{line}\n" if self._is_terminal else f"{line}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def run(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    screen: Screen,
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Whether the command succeeded. What is interrupted here ends with all that it started."""
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            counting_since = 0.0
            while _still_runs(process):
                seconds = time.monotonic() - began
                progress = read_progress(name, seconds, _tail(log), counting_since)
                if not progress.total:
                    counting_since = seconds
                screen.show(progress)
        except BaseException:
            _interrupt(process)
            raise
    if process.returncode == 0:
        screen.say(f"{name}: {clock_text(time.monotonic() - began)}")
    return process.returncode == 0


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_REDRAW_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace")


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does: ninja takes half written files away, and goes on from there next time."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_LEAVE_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
