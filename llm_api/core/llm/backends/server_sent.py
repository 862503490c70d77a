"""Server-sent events out of the bytes of a stream (HTML Living Standard, 9.2.6). Pure."""

from dataclasses import dataclass, field
from typing import Final

MOST_BYTES: Final = 1024 * 1024
"""Of one event."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event that has data. What has no name is a `message`."""

    event: str
    data: str


@dataclass(slots=True)
class EventReader:
    """Reads one stream, whose parts may end anywhere. Comments are left out, and so are ids."""

    _rest: bytes = b""
    _name: bytes = b""
    _data: list[bytes] = field(default_factory=list)
    _bytes: int = 0

    def read(self, part: bytes) -> list[ServerSentEvent]:
        """The events that this part completes. Raises ValueError for one that is too large."""
        *lines, self._rest = _lines(self._rest + part)
        events = [event for line in lines if (event := self._take(line)) is not None]
        if self._bytes + len(self._rest) > MOST_BYTES:
            raise ValueError("an event without end")
        return events

    def _take(self, line: bytes) -> ServerSentEvent | None:
        """The event that an empty line ends. Mutates what is known of it."""
        if not line:
            return self._ended()
        self._bytes += len(line)
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._name = value.removeprefix(b" ")
        return None

    def _ended(self) -> ServerSentEvent | None:
        name, data = self._name, self._data
        self._name, self._data, self._bytes = b"", [], 0
        if not data:
            return None
        return ServerSentEvent(_text(name) or "message", _text(b"\n".join(data)))


def _lines(data: bytes) -> list[bytes]:
    r"""What `\n`, `\r\n` or `\r` end, and the rest, which has no end yet. Pure."""
    if b"\r" not in data:
        return data.split(b"\n")
    half = b"\r" if data.endswith(b"\r") else b""  # of an end, maybe
    plain = data.removesuffix(half).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return (plain + half).split(b"\n")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
