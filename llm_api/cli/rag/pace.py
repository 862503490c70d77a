"""How far an ingest is and how long the rest takes, by chunks. Pure.

Files become chunks when they are stored, so the chunks to come are estimated from the bytes to
come, by what files of that extension have given so far. Between two reports the bar goes on at the
speed until then, and waits for the next before it would be full.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

BYTES_PER_CHUNK: Final = 1_000
"""Until something is stored: about the 256 tokens that a chunk has."""
_MOST_AHEAD: Final = 0.95
"""How much of what is to come may be taken for done."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """Chunks done and in all, an estimate; None where nothing has been stored yet."""

    chunks: int
    total: int
    seconds_left: float | None


@dataclass(slots=True)
class _Extension:
    """Bytes that are to come, and what became of those that came."""

    left: int = 0
    bytes: int = 0
    chunks: int = 0


class IngestPace:
    """`sizes` are bytes by document; `began` and every `now` are seconds of one clock."""

    def __init__(self, sizes: Mapping[str, int], began: float) -> None:
        self._left = dict(sizes)
        self._extensions: defaultdict[str, _Extension] = defaultdict(_Extension)
        for id, size in sizes.items():
            self._of(id).left += size
        self._began = began
        self._reported = began
        self._chunks = 0
        self._worked = 0

    def stored(self, id: str, chunks: int, now: float) -> None:
        """A document of so many chunks is stored; 0 for one that failed."""
        size = self._left.pop(id, 0)
        extension = self._of(id)
        extension.left -= size
        if chunks:
            extension.bytes += size
            extension.chunks += chunks
        self._chunks += chunks
        self._worked += chunks
        self._reported = now

    def at(self, now: float) -> Progressed:
        """What can be said now."""
        to_come = sum(map(self._expected, self._extensions.values()))
        spent = self._reported - self._began
        if not self._worked or spent <= 0:
            return Progressed(0, round(to_come), None)
        speed = self._worked / spent
        ahead = min(speed * (now - self._reported), to_come * _MOST_AHEAD)
        total = self._chunks + to_come
        return Progressed(int(self._chunks + ahead), round(total), (to_come - ahead) / speed)

    def _of(self, id: str) -> _Extension:
        return self._extensions[PurePosixPath(id).suffix.lower()]

    def _expected(self, extension: _Extension) -> float:
        if not extension.left:
            return 0.0
        known = extension if extension.bytes else self._all()
        ratio = known.chunks / known.bytes if known.bytes else 1 / BYTES_PER_CHUNK
        return max(extension.left * ratio, 1.0)

    def _all(self) -> _Extension:
        there = self._extensions.values()
        return _Extension(0, sum(one.bytes for one in there), sum(one.chunks for one in there))


def in_time(seconds: float) -> str:
    """How people say how long: `8 s`, `1:20`, `2:05:00`. Pure."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
