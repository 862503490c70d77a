"""The protocol of a storage of bytes: put under a key, read, removed. Knows no owners."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Protocol

PIECE_BYTES: Final = 1024 * 1024
"""Of what is read at once."""


class ByteStorage(Protocol):
    """The methods raise StateUnavailableError where the storage does not answer."""

    async def put(self, key: str, file: Path) -> None:
        """Store the bytes of a file, which may be moved away; durably once this returns.

        Raises FilesFullError.
        """
        ...

    async def has(self, key: str) -> bool:
        """Whether there are bytes at this key."""
        ...

    def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """The bytes in pieces. Raises FileNotFoundError at the first where there are none."""
        ...

    async def remove(self, key: str) -> None:
        """Remove the bytes, if they are there. Who reads them on a disk reads to the end."""
        ...
