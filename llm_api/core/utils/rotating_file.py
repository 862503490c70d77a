"""A file that is appended to, and begun anew when it is full. Knows nothing of what is in it.

Several processes may share one: each appends whole pieces, and only one of them at a time writes or
renames, under a lock on the open file. A path that is no regular file (`/dev/null`, a pipe, a
symbolic link such as `/dev/stdout`) is never renamed.
"""

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path


class RotatingFile:
    """`path`, and its earlier files as `path.1` (the youngest) to `path.<backups>`. Blocks."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._descriptor: int | None = None

    def append(self, data: bytes) -> None:
        """Write all of it, or nothing of it. Raises OSError.

        A piece that would make the file larger than `max_bytes` begins a new one.
        """
        while not self._append_here(data):
            self.close()

    def close(self) -> None:
        """Let go of the file; the next `append` opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _append_here(self, data: bytes) -> bool:
        """False where the open file is not, or no longer, the one at the path."""
        descriptor = self._open()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            status = os.fstat(descriptor)
            if not self._is_at_path(status):
                return False
            if status.st_size and status.st_size + len(data) > self._max_bytes and self._shift():
                return False
            _write(descriptor, data, status.st_size)
            return True
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return self._descriptor

    def _is_at_path(self, status: os.stat_result) -> bool:
        try:
            return os.path.samestat(status, self.path.stat())
        except FileNotFoundError:
            return False

    def _shift(self) -> bool:
        """Move every file one number on, the oldest out. False where that must not be done."""
        if not stat.S_ISREG(self.path.lstat().st_mode):
            return False
        for number in range(self._backups - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        if self._backups:
            self.path.replace(self._numbered(1))
        else:
            self.path.unlink()
        return True

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _write(descriptor: int, data: bytes, size: int) -> None:
    """Append to a file of this size; where that fails, leave it as it was."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        if len(rest) < len(data):
            with suppress(OSError):
                os.ftruncate(descriptor, size)
        raise
