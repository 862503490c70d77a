"""Lines of JSON into a file, written by a separate thread: a caller never waits or fails.

A line that cannot be written, or comes faster than the disk takes it, is dropped and counted. The
server's log tells when that begins and when it is over, and how much was lost.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

logger = logging.getLogger(__name__)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Record: TypeAlias = Mapping[str, object]
"""What `json` can write."""

GATHERING_SECONDS: Final = 0.05
"""How long a record may wait for others to be written with."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """What a disk that does not answer may cost.

    `characters` counts the texts in the records that wait; while one lot is written, another may
    wait. `closing_seconds` is how long the end waits for the last lot.
    """

    records: int = 10_000
    characters: int = 32 * 1024 * 1024
    closing_seconds: float = 5.0


class LineFile(Protocol):
    """Where lines go. Its methods block, and raise OSError."""

    def append(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class JSONLLog:
    """Owns the file and the thread that writes it. `name` is what the server's log calls it."""

    def __init__(self, file: LineFile, name: str, limits: LogLimits | None = None) -> None:
        self._file = file
        self._name = name
        self._limits = limits or LogLimits()
        self._changed = threading.Condition()  # guards all that follows
        self._pending: list[Record] = []
        self._pending_characters = 0
        self._dropped = 0
        self._is_closing = False
        self._problem: str | None = None
        self._reported = 0  # of the dropped; the thread's own
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many records were never written."""
        return self._dropped

    @property
    def problem(self) -> str | None:
        """Why nothing is written at present; None while all is well."""
        return self._problem

    def append(self, record: Record) -> None:
        """Hand over a record, which must not change any more. Neither waits nor raises."""
        size = text_size(record)
        with self._changed:
            is_full = len(self._pending) >= self._limits.records
            if is_full or self._pending_characters + size > self._limits.characters:
                self._dropped += 1
                return
            self._pending.append(record)
            self._pending_characters += size
            if len(self._pending) == 1:
                self._changed.notify()

    async def aclose(self) -> None:
        """Write what is pending, then close the file. Idempotent."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, self._limits.closing_seconds)

    def _run(self) -> None:
        while records := self._taken():
            try:
                self._file.append(b"".join(map(_line, records)))
            except Exception as error:  # noqa: BLE001 - the border: the next lot must find this thread
                self._failed(error, len(records))
            else:
                self._succeeded()
        self._file.close()

    def _taken(self) -> list[Record]:
        """All that is pending. Waits for it; nothing only at the end.

        Waits a moment longer for more: a thread that woke for every record would take turns with
        the event loop, which costs both more than the writing.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._is_closing)
            self._changed.wait_for(lambda: self._is_closing, GATHERING_SECONDS)
            records, self._pending = self._pending, []
            self._pending_characters = 0
            return records

    def _failed(self, error: Exception, count: int) -> None:
        reason = error.strerror if isinstance(error, OSError) else None
        with self._changed:
            self._dropped += count
            is_new = self._problem is None
            self._problem = reason or type(error).__name__
        if is_new:
            logger.error("%s: cannot be written: %s; requests go on", self._name, self._problem)

    def _succeeded(self) -> None:
        with self._changed:
            lost, self._reported = self._dropped - self._reported, self._dropped
            self._problem = None
        if lost:
            logger.warning("%s: %d lines were lost; it is written again", self._name, lost)


def text_size(value: object) -> int:
    """Characters of all texts in it. Pure."""
    if isinstance(value, str):
        return len(value)
    if value is None or isinstance(value, int | float):  # most are: they need no look at more
        return 0
    if isinstance(value, Mapping):
        return sum(map(text_size, value.values()))
    return sum(map(text_size, value)) if isinstance(value, Iterable) else 0


def _line(record: Record) -> bytes:
    text = _encode(record)
    # A lone surrogate becomes `\udc00`, which is how JSON spells it.
    return text.encode("utf-8", "backslashreplace") + b"\n"
