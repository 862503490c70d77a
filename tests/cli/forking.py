"""Command lines in processes forked from one that has imported what they need: quick, and real.

Run as a program it forks a process for each job, a line of JSON, and says which, then how it ended.
A job has a terminal, or files for standard output and standard error.
"""

import atexit
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from llm_api.cli.app import COMMANDS, main
from llm_api.cli.lazy import every_verb
from tests.cli.command import environment
from tests.cli.terminal import Screen
from tests.live import PATIENCE_SECONDS

_IMPORTED = (  # nothing that reads the environment when it is imported, as huggingface_hub does
    "api.wiring",
    "assembly.functions",
    "assembly.retrieval",
    "cli.rag.server_library",
    "cli.rag.watching",
    "cli.talk.server_talker",
)
_Program = subprocess.Popen[bytes]


class Running:
    """A command that was started."""

    def __init__(self, program: _Program) -> None:
        self._program = program
        self.process = int(self._line())
        self._code: int | None = None

    def interrupt(self) -> None:
        os.kill(self.process, signal.SIGINT)

    def has_ended(self, seconds: float) -> bool:
        """Whether it ends within this time."""
        assert self._program.stdout is not None
        return bool(select.select([self._program.stdout], [], [], seconds)[0])

    def wait(self) -> int:
        """Its exit code; -9 if it does not end."""
        if self._code is None:
            if not self.has_ended(PATIENCE_SECONDS):
                with suppress(ProcessLookupError):
                    os.kill(self.process, signal.SIGKILL)
            self._code = int(self._line())
        return self._code

    def _line(self) -> bytes:
        assert self._program.stdout is not None
        return self._program.stdout.readline()


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str
    errors: str


class Commands:
    """Starts command lines, one after the other. The folder is their home as well."""

    def __init__(self, program: _Program) -> None:
        self._program = program

    @contextmanager
    def terminal(
        self, folder: Path, width: int, *arguments: str, **variables: str
    ) -> Iterator[tuple[Running, Screen]]:
        """The command in a terminal of this width; it has ended after the block."""
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        try:
            running = self._start(folder, arguments, variables, [os.ttyname(child)])
        finally:
            os.close(child)
        try:
            yield running, Screen(parent)
        finally:
            running.wait()
            os.close(parent)

    @contextmanager
    def pipe(self, folder: Path, *arguments: str, **variables: str) -> Iterator[Running]:
        """The same without a terminal: `output` and `errors` are files of the folder."""
        places = [os.devnull, str(folder / "output"), str(folder / "errors")]
        running = self._start(folder, arguments, variables, places)
        try:
            yield running
        finally:
            running.wait()

    def ended(self, folder: Path, *arguments: str, **variables: str) -> Ended:
        """What it said in a pipe, and how it ended."""
        files = [folder / "output", folder / "errors"]
        with self.pipe(folder, *arguments, **variables) as running:
            code = running.wait()
        output, errors = (file.read_text("utf-8") for file in files)
        for file in files:
            file.unlink()
        return Ended(code, output, errors)

    def _start(
        self,
        folder: Path,
        arguments: tuple[str, ...],
        variables: dict[str, str],
        places: list[str],
    ) -> Running:
        own = environment(TERM="xterm-256color", HOME=str(folder), **variables)
        del own["COLUMNS"]
        job = {"arguments": arguments, "folder": str(folder), "variables": own, "places": places}
        assert self._program.stdin is not None
        self._program.stdin.write(f"{json.dumps(job)}\n".encode())
        return Running(self._program)


@contextmanager
def forked_commands() -> Iterator[Commands]:
    """Until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.forking"],
        env=environment(OPENBLAS_NUM_THREADS="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    ) as program:
        assert program.stdin is not None
        try:
            yield Commands(program)
        finally:
            program.stdin.close()


def _serve() -> None:
    for _, verb in every_verb(COMMANDS):
        import_module(verb.place.partition(":")[0])
    for name in _IMPORTED:
        import_module(f"llm_api.{name}")
    for line in sys.stdin:
        job = json.loads(line)
        places = [
            os.open(one, os.O_RDWR | os.O_CREAT | os.O_NOCTTY, 0o600) for one in job["places"]
        ]
        process = os.fork()
        if not process:
            _become(job, places)
            _end(_code_of(job["arguments"]))
        for place in places:
            os.close(place)
        _tell(process)
        _tell(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _code_of(arguments: list[str]) -> int:
    """As the interpreter ends a program."""
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - it is shown as Python would
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """Without taking hundreds of modules down, which takes longer than most commands."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _become(job: dict[str, Any], places: list[int]) -> None:
    """A process in a session of its own, as a shell or a terminal would start it."""
    os.setsid()
    for descriptor, place in enumerate(places if len(places) > 1 else places * 3):
        os.dup2(place, descriptor)
    if len(places) == 1:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for place in places:
        os.close(place)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as Python does
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(job["variables"])
    os.chdir(job["folder"])


if __name__ == "__main__":
    _serve()
