"""A person at a terminal of some width, in which a command runs."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.command import environment

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """What is typed and what is seen at the other end of a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = ""

    def types(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def until(self, text: str) -> str:
        """Wait until the text appears; return everything new up to it."""
        assert self._sees(text, 30), self._seen
        before, _, self._seen = self._seen.partition(text)
        return before

    def rest(self) -> str:
        """Everything new until the command has ended."""
        self._sees("\0", 30)
        return self._seen

    def _sees(self, text: str, seconds: float) -> bool:
        """Read for up to these seconds, or the end; whether the text has appeared."""
        deadline = time.monotonic() + seconds
        while text not in self._seen and (left := deadline - time.monotonic()) > 0:
            if select.select([self._descriptor], [], [], left)[0]:
                try:
                    data = os.read(self._descriptor, 4096)
                except OSError:  # the other end is closed
                    break
                self._seen += data.decode(errors="replace")
        return text in self._seen


class Terminal(Screen):
    """That of a process."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        super().__init__(descriptor)
        self.process = process


@contextmanager
def terminal(
    folder: Path, *arguments: str, width: int = 120, term: str = "dumb", **variables: str
) -> Iterator[Terminal]:
    """The command in a terminal of its own, whose home is the folder."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    own = environment(TERM=term, HOME=str(folder), **variables)
    own.pop("COLUMNS")
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "llm_api", *arguments],
        cwd=folder,
        env=own,
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
    )
    os.close(child)
    try:
        yield Terminal(process, parent)
    finally:
        process.kill()
        process.wait()
        os.close(parent)


def plain(text: str) -> str:
    """What is seen, without what moves the cursor and colours. Pure."""
    return _ANSI.sub("", text)
