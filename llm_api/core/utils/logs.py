"""The process's log: on stderr, JSON a line for programs, text for a terminal; with request ids.

Every module logs with `logging` as ever; structlog writes it down. A traceback shows code and the
error's message, never the values of variables.
"""

import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

current_request: Final[ContextVar[str | None]] = ContextVar("current_request", default=None)
"""The id of the request that this task, or the thread it waits for, works on."""

_QUIET: Final = ("httpx2", "mcp")
"""They tell every request, with a URL that may hold a key."""

REQUESTS: Final = logging.getLogger("llm_api.requests")
"""A line for each request, for people: programs read the request log."""

_CONTROLS: Final = {number: f"\\x{number:02x}" for number in (*range(9), *range(10, 32), 127)}


def configure_logs(level: str, stream: TextIO = sys.stderr) -> None:
    """Have everything of this level logged to `stream`. Once a process; a second call is void."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(is_terminal=stream.isatty()))
    logging.basicConfig(level=level, handlers=[handler])
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
    if not stream.isatty():
        REQUESTS.setLevel(logging.WARNING)
    sys.excepthook = _log_unhandled


def _log_unhandled(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Logs an error that ends the process in one line, like any other. Ctrl-C is no error."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger(__name__).critical("unhandled error", exc_info=(kind, error, trace))


def formatter(*, is_terminal: bool) -> logging.Formatter:
    """What makes a line of a record; several lines on a terminal, where there is a traceback."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _add_request_id,
            structlog.processors.TimeStamper(fmt="iso"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_for_people() if is_terminal else _for_programs()),
        ],
    )


def _for_programs() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]


def _for_people() -> list[Processor]:
    plain = structlog.dev.plain_traceback  # the default shows the values of variables
    return [
        _make_harmless,
        _make_brief,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain),
    ]


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if (request_id := current_request.get()) is not None:
        event["request_id"] = request_id
    return event


def _make_harmless(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write out what would move a terminal's cursor, or begin a line that looks like another."""
    event["event"] = str(event["event"]).translate(_CONTROLS)
    return event


def _make_brief(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Of a line for each request, leave the time of day and what happened."""
    if event.get("logger") == REQUESTS.name:
        return {"timestamp": time.strftime("%H:%M:%S"), "event": event["event"]}
    return event


class Seldom:
    """Lets something that goes on and on be logged, but at most once in so many seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._due_at = float("-inf")

    def is_due(self) -> bool:
        """Whether so long has passed since this last was true."""
        now = self._clock()
        is_due = now >= self._due_at
        if is_due:
            self._due_at = now + self._seconds
        return is_due
