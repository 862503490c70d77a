"""Starts a process that is spoken to over pipes, without stopping the event loop.

uvloop forks, which copies the page tables of this process: with 1.2 GB that took 300 ms on a busy
machine, in which nobody was answered. `subprocess` has the child borrow them (vfork): 0.3 ms.
"""

import asyncio
import subprocess
from collections.abc import Mapping
from subprocess import PIPE
from typing import Final

_SHORTEST_LOOK: Final = 0.001
_LONGEST_LOOK: Final = 0.05
"""Seconds between two looks whether a process has ended."""


class ChildProcess:
    """A running process. Its owner ends it: by closing `stdin`, or by `kill`; then `wait`."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        reading: asyncio.BaseTransport,
    ) -> None:
        self._process = process
        self._reading = reading
        self.stdin = stdin
        self.stdout = stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its status, negative for a signal; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End it at once. Nothing happens to one that has ended."""
        self._process.kill()

    async def wait(self) -> int:
        """Its status, once it has ended. Its output can still be read."""
        look = _SHORTEST_LOOK
        while (status := self._process.poll()) is None:
            await asyncio.sleep(look)
            look = min(2 * look, _LONGEST_LOOK)
        self.stdin.close()
        return status

    async def end(self) -> None:
        """Kill it, and drop what it has written."""
        self.kill()
        await self.wait()
        self._reading.close()


async def start_child(
    *command: str,
    stderr: int | None = None,
    env: Mapping[str, str] | None = None,
    limit: int = 64 * 1024,
    has_own_session: bool = False,
) -> ChildProcess:
    """Start a program. `limit` bounds a line of its output; without `env` it inherits ours.

    Raises OSError.
    """
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - a third of a millisecond, see above
        command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=stderr,
        env=env,
        bufsize=0,
        start_new_session=has_own_session,
    )
    loop = asyncio.get_running_loop()
    answers = asyncio.StreamReader(limit)
    try:
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(answers), process.stdout
        )
        writing, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), process.stdin
        )
    except BaseException:
        process.kill()
        process.wait()
        raise
    return ChildProcess(
        process, asyncio.StreamWriter(writing, protocol, None, loop), answers, reading
    )
