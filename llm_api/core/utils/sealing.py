"""Text that only servers with the same key can read, and that nobody else can change.

Covers: who holds a sealed text learns nothing of it but its length and when it was sealed; one
that was changed, or sealed for another owner, does not open. Does not cover: an old text that is
sent again, which opens; a key that is given away.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class UnsealableError(Exception):
    """A text that no key here opens for this owner."""


class Sealer:
    """Seals with the first key and opens with any: Fernet's recipe (AES-128-CBC, HMAC-SHA256).

    Without `keys` there is one in `file`, made when it is first needed. Blocks then, for a moment.
    """

    def __init__(self, file: Path, keys: Sequence[str] = ()) -> None:
        self._file = file
        self._keys = keys

    def seal(self, text: str, owner: str) -> str:
        return self._fernet.encrypt(f"{owner}\0{text}".encode()).decode()

    def unseal(self, sealed: str, owner: str) -> str:
        """Raises UnsealableError."""
        try:
            found, separator, text = self._fernet.decrypt(sealed).decode().partition("\0")
        except (InvalidToken, ValueError) as error:
            raise UnsealableError from error
        if not separator or found != owner:
            raise UnsealableError
        return text

    @cached_property
    def _fernet(self) -> MultiFernet:
        keys = self._keys or (_key_in(self._file),)
        return MultiFernet([Fernet(key) for key in keys])


def is_key(text: str) -> bool:
    """Whether a text is a key. Pure."""
    try:
        Fernet(text)
    except ValueError:
        return False
    return True


def _key_in(file: Path) -> str:
    """The key in this file, which is made where there is none. Several processes get the same."""
    with suppress(FileNotFoundError):
        return file.read_text(encoding="ascii")
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(Fernet.generate_key().decode())
        opened.flush()
        os.fsync(opened.fileno())
    with suppress(FileExistsError):
        os.link(fresh, file)  # whole, or not at all
    fresh.unlink()
    return file.read_text(encoding="ascii")
