"""Checksums of all files of a collection, valid while nobody writes to it. Blocks.

The engine notices little of what happens to its files: without its mapping of ids it opens an empty
collection. So a collection at rest is sealed: `seal.json` has the size and the CRC-32 of each file.
It is removed, durably, before the first write, and what is opened with a seal is compared with it.

Covers: files that are gone, cut, emptied or flipped. Does not cover: what happens to files
after a crash in the middle of writing, when there is no seal; and an attacker, who can compute it.
"""

import errno
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias
from zlib import crc32

from pydantic import TypeAdapter, ValidationError

from llm_api.core.rag.stores.checked_file import (
    DamagedFileError,
    read_checked,
    sync_folder,
    write_checked,
)

SEAL: Final = "seal.json"
NOT_SEALED: Final = frozenset(
    {SEAL, f"{SEAL}.new", "collection.json", "collection.json.new", "disposable"}
)
"""Files of ours, each with a checksum of its own."""

Sums: TypeAlias = Mapping[str, tuple[int, int]]
"""Size and checksum by a file's path within its folder."""

_BLOCK = 65_536
_NOTHING: Final = bytes(_BLOCK)
_SUMS: Final = TypeAdapter(dict[str, tuple[int, int]])


def sums(folder: Path, deadline: float = float("inf")) -> Sums:
    """Of every file there is.

    Raises TimeoutError where that takes until after `deadline`, a moment of `time.monotonic`.
    """
    return {name: _sum(path, deadline) for name, path in files(folder)}


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files of the engine in a folder, and their paths within it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in NOT_SEALED:
            yield str(path.relative_to(folder)), path


def seal(folder: Path, found: Sums) -> None:
    """Say durably that the files are these."""
    write_checked(folder / SEAL, found)


def unseal(folder: Path) -> None:
    """Before anything is written. Idempotent."""
    (folder / SEAL).unlink(missing_ok=True)
    sync_folder(folder)


def read_seal(folder: Path) -> Sums | None:
    """What was sealed, None where nothing is. Raises DamagedFileError."""
    try:
        return _SUMS.validate_python(read_checked(folder / SEAL))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DamagedFileError("it is no list of checksums") from error


def damages(sealed: Sums, found: Sums) -> list[str]:
    """What has happened to each file since it was sealed, one phrase each. New ones do no harm."""
    return [
        f"{name} {_damage(was, found.get(name))}"
        for name, was in sorted(sealed.items())
        if found.get(name) != was
    ]


def _damage(sealed: tuple[int, int], found: tuple[int, int] | None) -> str:
    if found is None:
        return "is gone"
    if found[0] != sealed[0]:
        return f"has {found[0]} bytes where it had {sealed[0]}"
    return "has other bytes than it had"


def _sum(path: Path, deadline: float) -> tuple[int, int]:
    """Blocks of nothing but zeros do not count: much of these files was never written to."""
    checksum = 0
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for start in _blocks(file.fileno(), size):
            if time.monotonic() > deadline:
                raise TimeoutError
            block = os.pread(file.fileno(), _BLOCK, start)
            if block != _NOTHING[: len(block)]:
                checksum = crc32(block, crc32(start.to_bytes(8, "big"), checksum))
    return size, checksum


def _blocks(descriptor: int, size: int) -> Iterator[int]:
    """Where blocks begin that may hold more than zeros."""
    position = 0
    while position < size:
        position = _next_data(descriptor, position, size) // _BLOCK * _BLOCK
        if position < size:
            yield position
        position += _BLOCK


def _next_data(descriptor: int, position: int, size: int) -> int:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        return size if error.errno == errno.ENXIO else position  # the latter: no such question here
