"""A stored prefix as a file: what is written, and what is believed when it is read. Blocks.

```
magic, length of the header | header (JSON) | tokens, 4 bytes each | state
```

Covers: a file that is damaged, cut off, or of another version is not used; one that is a link, or
that another user owns or may read, is not even read. Files are made with the mode 0600 in folders
of 0700. Does not cover: whoever is this user or root. The bytes are not encrypted, and tokens and
states can be turned back into the words they were made of.
"""

import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np

from llm_api.core.llm.prefix_cache.stored import State, StoredPrefix

MAGIC: Final = b"llm_api kv 1\n\0\0\0"
ENDING: Final = ".kv"
PART_ENDING: Final = ".part"
LONGEST_HEADER: Final = 65_536
PIECE_BYTES: Final = 1 << 20


class StateFileError(Exception):
    """A file that is not used. The message says why."""


def folder_of(root: Path, owner: str) -> Path:
    """Where the prefixes of one owner lie."""
    return root / blake2b(owner.encode(), digest_size=16).hexdigest()


def make_folder(folder: Path) -> None:
    """Make it, for this user alone. Raises StateFileError where it is another's, or a link."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _user(found):
        raise StateFileError(f"{folder} is a link, or belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def write(root: Path, stored: StoredPrefix, state: State, pause: Callable[[], None]) -> Path:
    """Write a file, whole or not at all. Calls `pause` after each MB. Raises OSError."""
    folder = folder_of(root, stored.owner)
    make_folder(folder)
    tokens = stored.tokens.tobytes()
    name = blake2b(f"{stored.fingerprint}\0{stored.scope}\0".encode() + tokens, digest_size=16)
    path = folder / f"{name.hexdigest()}{ENDING}"
    part = path.with_suffix(PART_ENDING)
    header = json.dumps(
        {
            "fingerprint": stored.fingerprint,
            "scope": stored.scope,
            "retention": stored.retention,
            "tokens": len(stored.tokens),
            "tokens_crc": zlib.crc32(tokens),
            "state": stored.size,
            "state_crc": _checksum(state, pause),
        }
    ).encode()
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(MAGIC + len(header).to_bytes(4, "little") + header + tokens)
            view = state.data
            for start in range(0, len(view), PIECE_BYTES):
                file.write(view[start : start + PIECE_BYTES])
                pause()
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def read_head(path: Path) -> StoredPrefix:
    """What a file says it holds, without the state. Raises StateFileError, OSError."""
    with _opened(path) as descriptor:
        stored, _, _ = _head(descriptor, path)
        return stored


def read_state(stored: StoredPrefix, path: Path) -> State:
    """The state behind exactly these tokens. Raises StateFileError, OSError."""
    with _opened(path) as descriptor:
        found, position, checksum = _head(descriptor, path)
        is_same = (found.fingerprint, found.scope) == (stored.fingerprint, stored.scope)
        if not is_same or not np.array_equal(found.tokens, stored.tokens):
            raise StateFileError("it holds another prefix")
        state = np.empty(found.size, dtype=np.uint8)
        view = state.data
        os.lseek(descriptor, position, os.SEEK_SET)
        read = 0
        while read < found.size:
            count = os.readv(descriptor, [view[read : read + 16 * PIECE_BYTES]])
            if not count:
                raise StateFileError("it is cut off")
            read += count
    if _checksum(state) != checksum:
        raise StateFileError("its bytes are damaged")
    return state


def remove(path: Path) -> None:
    """Delete a file, and the folder with its last. Raises nothing: what stays is found again."""
    try:
        path.unlink(missing_ok=True)
        path.parent.rmdir()
    except OSError:
        return


def files_of(root: Path) -> list[Path]:
    """The files of every owner, and what an interrupted write left. Follows no link."""
    found: list[Path] = []
    for folder in _entries(root):
        if folder.is_dir(follow_symlinks=False):
            found += [
                Path(one.path)
                for one in _entries(Path(folder.path))
                if one.name.endswith((ENDING, PART_ENDING))
            ]
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The descriptor of a file of this user's own. Raises StateFileError, OSError."""
    descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != _user(found):
            raise StateFileError("it is no file, or belongs to another user")
        yield descriptor
    finally:
        os.close(descriptor)


def _head(descriptor: int, path: Path) -> tuple[StoredPrefix, int, int]:
    """What the file holds, where its state begins, and the checksum of that."""
    found = os.fstat(descriptor)
    start = os.read(descriptor, len(MAGIC) + 4)
    if not start.startswith(MAGIC) or len(start) < len(MAGIC) + 4:
        raise StateFileError("it is of another version, or no such file")
    length = int.from_bytes(start[len(MAGIC) :], "little")
    if length > LONGEST_HEADER:
        raise StateFileError("its header is damaged")
    try:
        header = json.loads(os.read(descriptor, length))
        count, size = int(header["tokens"]), int(header["state"])
        retention = header["retention"]
        checksums = int(header["tokens_crc"]), int(header["state_crc"])
        fingerprint, scope = str(header["fingerprint"]), str(header["scope"])
    except (ValueError, KeyError, TypeError) as error:
        raise StateFileError("its header is damaged") from error
    position = len(start) + length + 4 * count
    if count < 0 or size < 0 or position + size != found.st_size:
        raise StateFileError("it is cut off")
    tokens = os.read(descriptor, 4 * count)
    if zlib.crc32(tokens) != checksums[0] or len(tokens) != 4 * count:
        raise StateFileError("its tokens are damaged")
    stored = StoredPrefix(
        fingerprint,
        scope,
        np.frombuffer(tokens, dtype=np.int32),
        size,
        retention if retention in ("in_memory", "24h") else None,
        last_used=found.st_mtime,
        path=path,
    )
    return stored, position, checksums[1]


def _checksum(state: State, pause: Callable[[], None] = lambda: None) -> int:
    checksum = 0
    view = state.data
    for start in range(0, len(view), PIECE_BYTES):
        checksum = zlib.crc32(view[start : start + PIECE_BYTES], checksum)
        pause()
    return checksum


def _user(found: os.stat_result) -> int:
    """The id of this user; on a system without them, that of whatever was found."""
    return os.geteuid() if hasattr(os, "geteuid") else found.st_uid
