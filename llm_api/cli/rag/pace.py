"""How far an ingest is and how long the rest takes, by chunks. Pure.

Files become chunks when they are stored, so the chunks to come are estimated from the bytes of each
file to come, by what files of that extension have given so far: one at least, so files of one chunk
tell nothing of larger ones. Between two reports the bar goes on at the speed until then, and waits
for the next before it would be full.
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
    """What became of the files that gave several chunks."""

    bytes: int = 0
    chunks: int = 0


class IngestPace:
    """`sizes` are bytes by document; `began` and every `now` are seconds of one clock."""

    def __init__(self, sizes: Mapping[str, int], began: float) -> None:
        self._left = dict(sizes)
        self._extensions: defaultdict[str, _Extension] = defaultdict(_Extension)
        self._began = began
        self._reported = began
        self._chunks = 0
        self._to_come: float | None = None

    def stored(self, id: str, chunks: int, now: float) -> None:
        """A document of so many chunks is stored; 0 for one that failed."""
        size = self._left.pop(id, 0)
        if chunks > 1:
            extension = self._extensions[_extension(id)]
            extension.bytes += size
            extension.chunks += chunks
        self._chunks += chunks
        self._reported = now
        self._to_come = None

    def at(self, now: float) -> Progressed:
        """What can be said now."""
        if self._to_come is None:
            self._to_come = self._expected()
        to_come = self._to_come
        spent = self._reported - self._began
        if not self._chunks or spent <= 0:
            return Progressed(0, round(to_come), None)
        speed = self._chunks / spent
        ahead = min(speed * (now - self._reported), to_come * _MOST_AHEAD)
        total = self._chunks + to_come
        return Progressed(int(self._chunks + ahead), round(total), (to_come - ahead) / speed)

    def _expected(self) -> float:
        """Chunks to come: of each file by its extension, or by all where that is new."""
        known = self._extensions.values()
        every = _Extension(sum(one.bytes for one in known), sum(one.chunks for one in known))
        ratios = {name: _ratio(one) for name, one in self._extensions.items()}
        usual = _ratio(every)
        return sum(
            max(size * ratios.get(_extension(id), usual), 1.0)
            for id, size in self._left.items()
            if size
        )


def _ratio(extension: _Extension) -> float:
    """Chunks a byte. Pure."""
    return extension.chunks / extension.bytes if extension.bytes else 1 / BYTES_PER_CHUNK


def _extension(id: str) -> str:
    return PurePosixPath(id).suffix.lower()


def in_time(seconds: float) -> str:
    """How people say how long: `8 s`, `1:20`, `2:05:00`. Pure."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
