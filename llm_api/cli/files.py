"""Which files of the paths a person names are to be ingested, and under which names. Blocks."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.files import document_id

_SKIPPED = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True)
class FoundFile:
    """`name` is its path from the folder that was named, that folder's name first."""

    path: Path
    name: str

    @property
    def id(self) -> str:
        return document_id(self.name)

    def read(self) -> bytes:
        """Raises UnreadableFileError."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise UnreadableFileError(f"{self.name}: {error.strerror}.") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its bytes. Raises UnreadableFileError."""
        return sha256(self.read()).hexdigest()


def find_files(paths: Sequence[Path]) -> list[FoundFile]:
    """Every file below the paths, by name; hidden and empty ones only where they are named.

    Raises UnreadableFileError for a path that is not there, or two files of one name.
    """
    found: dict[str, FoundFile] = {}
    for path in paths:
        for file in _below(path):
            other = found.setdefault(file.id, file)
            if other.path.resolve() != file.path.resolve():
                raise UnreadableFileError(
                    f"{other.path} and {file.path} would both be the document {file.id!r};"
                    " ingest them one after the other, into collections of their own."
                )
    return [found[name] for name in sorted(found)]


def _below(path: Path) -> Iterator[FoundFile]:
    if path.is_file():
        yield FoundFile(path, path.name)
        return
    if not path.is_dir():
        raise UnreadableFileError(f"There is no file or folder {str(path)!r}.")
    root = Path(path.resolve().name)
    for folder, folders, names in os.walk(path):
        folders[:] = [one for one in folders if not one.startswith(".") and one not in _SKIPPED]
        for name in names:
            file = Path(folder) / name
            if not name.startswith(".") and file.is_file() and file.stat().st_size:
                yield FoundFile(file, str(root / file.relative_to(path)))
