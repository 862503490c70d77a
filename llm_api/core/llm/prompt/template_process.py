"""A chat template in a separate process, which is killed where it breaks its bounds.

`template_worker` runs there; the kernel ends it when it has computed for too long. This module
starts it, asks it, ends it, and starts it again.
"""

import json
import signal
import socket
import subprocess
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict
from threading import Lock

from llm_api.core.errors import UnavailableError
from llm_api.core.llm.prompt import template_worker as worker
from llm_api.core.llm.prompt.template_wire import (
    SIZE,
    Loading,
    Rendering,
    RenderOutcome,
    TemplateLimits,
    encode,
)
from llm_api.core.utils.isolation import isolated_command, isolated_environment


class TemplateRefusedError(Exception):
    """The template refuses what it was given; its own words."""


class TemplateFailedError(Exception):
    """The template is not valid, or raised something."""


class TemplateBoundsError(Exception):
    """The template was stopped; `str(error)` goes on from "the chat template"."""


class TemplateProcess:
    """Thread-safe: one request at a time, the others wait. Every call blocks, within bounds.

    Close it; one that is never closed ends when it is garbage-collected.
    """

    def __init__(self, loading: Callable[[], Loading], limits: TemplateLimits) -> None:
        """`loading` is what a process is asked first. Starts nothing yet."""
        self._loading = loading
        self._limits = limits
        self._lock = Lock()
        self._child: _Child | None = None
        self._is_closed = False

    def load(self) -> str:
        """What can be said of the template. Raises TemplateFailedError where it is not valid.

        Raises TemplateBoundsError, and UnavailableError where no process can be started.
        """
        with self._lock:
            return self._load(self._start())

    def render(self, rendering: Rendering) -> str:
        """Raises TemplateRefusedError, TemplateFailedError, TemplateBoundsError.

        Raises UnavailableError where no process can be started, and once it is closed.
        """
        try:
            request = encode(rendering)
        except ValueError as error:
            raise TemplateFailedError("it nests too deeply") from error
        with self._lock:
            if self._is_closed:
                raise _unloaded()
            if (child := self._child) is not None:
                try:
                    return self._ask(child, request)
                except _EndedError as ended:
                    # Perhaps it was not this conversation that ended it: it gets one more try.
                    if ended.ran_out_of_time:
                        raise
            child = self._start()
            self._load(child)
            return self._ask(child, request)

    def close(self) -> None:
        """End the process, and with it a rendering under way. Blocks for milliseconds."""
        self._is_closed = True
        if (child := self._child) is not None:
            child.kill()
        with self._lock:
            self._drop()

    def _start(self) -> "_Child":
        child = self._child = _Child(self._limits)
        if self._is_closed:  # looked at last, so that `close` or this line sees the other
            self._drop()
            raise _unloaded()
        return child

    def _load(self, child: "_Child") -> str:
        try:
            return self._ask(child, encode(self._loading()))
        except TemplateFailedError:
            self._drop()
            raise

    def _ask(self, child: "_Child", request: bytes) -> str:
        try:
            mark, text = child.ask(request)
            match mark:
                case RenderOutcome.DONE:
                    return text
                case RenderOutcome.REFUSED:
                    raise TemplateRefusedError(text)
                case RenderOutcome.FAILED:
                    raise TemplateFailedError(text)
                case RenderOutcome.BROKE_BOUNDS:
                    raise TemplateBoundsError(text)
        except TemplateBoundsError:
            self._drop()
            if self._is_closed:
                raise _unloaded() from None
            raise

    def _drop(self) -> None:
        if (child := self._child) is not None:
            child.end()
        self._child = None


class _EndedError(TemplateBoundsError):
    """The process has ended, `ran_out_of_time` by its own bound."""

    def __init__(self, exit_code: int) -> None:
        self.ran_out_of_time = exit_code == -signal.SIGPROF
        reason = "takes too long" if self.ran_out_of_time else "breaks the process it runs in"
        super().__init__(reason)


class _Child:
    """One process, and the socket to it."""

    def __init__(self, limits: TemplateLimits) -> None:
        """Raises UnavailableError where none can be started."""
        self._limits = limits
        self._connection, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _start(theirs, limits)
            except OSError as error:
                self._connection.close()
                raise UnavailableError(
                    "No process could be started for the model's chat template."
                ) from error
        self.kill = self._process.kill
        self.end = weakref.finalize(self, _end, self._process, self._connection)

    def ask(self, request: bytes) -> tuple[RenderOutcome, str]:
        """Raises TemplateBoundsError where there is no answer; the process is of no use then."""
        deadline = time.monotonic() + self._limits.wait_seconds
        try:
            self._connection.settimeout(self._limits.wait_seconds)
            self._connection.sendall(SIZE.pack(len(request)) + request)
            (size,) = SIZE.unpack(self._read(SIZE.size, deadline))
            answer = self._read(size, deadline)
            return RenderOutcome(answer[:1]), answer[1:].decode(errors="surrogatepass")
        except TimeoutError:
            raise TemplateBoundsError("takes too long") from None
        except (OSError, EOFError):
            self.kill()
            raise _EndedError(self._process.wait()) from None
        except ValueError as error:
            raise TemplateBoundsError("has taken over the process it runs in") from error

    def _read(self, size: int, deadline: float) -> bytes:
        if size > 4 * self._limits.output_characters + 1:  # of UTF-8, with its mark
            raise ValueError("a longer answer than the worker may give")
        parts = bytearray()
        while len(parts) < size:
            self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
            part = self._connection.recv(min(size - len(parts), 1 << 20))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)


def _start(connection: socket.socket, limits: TemplateLimits) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own module
        isolated_command(worker.__name__, json.dumps(asdict(limits))),
        stdin=connection.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is the server's to handle
        env=isolated_environment(),
    )


def _end(process: "subprocess.Popen[bytes]", connection: socket.socket) -> None:
    connection.close()
    process.kill()
    process.wait()


def _unloaded() -> UnavailableError:
    return UnavailableError("The model is being unloaded.")
