"""Which files of the paths a person names are to be ingested, and under which names. Blocks.

A name is a path from a source: the folder that was named, or that of a file that was named. Two
folders may have one name, so a document remembers from which of them it came (`ROOT_FIELD`), and a
file of the other is refused: `--source` tells them apart.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from llm_api.core.errors import InvalidRequestError, UnreadableFileError
from llm_api.core.rag.files import DIGEST_FIELD, document_id

ROOT_FIELD = "source_root"
"""The metadata field that tells one folder from another of the same name."""

_SKIPPED = frozenset({"__pycache__", "node_modules"})
_MARK_CHARACTERS = 12


@dataclass(frozen=True)
class FoundFile:
    """`name` is its path from its source, whose name comes first. `root` is which source it is."""

    path: Path
    name: str
    root: str

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


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a document's metadata tells of the file it was: the hash of its bytes, its source."""

    digest: str
    root: str | None

    @classmethod
    def of(cls, metadata: Mapping[str, object]) -> "StoredFile":
        root = metadata.get(ROOT_FIELD)
        return cls(str(metadata.get(DIGEST_FIELD)), None if root is None else str(root))


def changed_files(
    files: Sequence[FoundFile], stored: Mapping[str, StoredFile]
) -> Sequence[FoundFile]:
    """Those that are not stored as they are. Pure, but for reading them.

    Raises InvalidRequestError for one that would replace what was stored from another folder.
    """
    changed = []
    for file in files:
        old = stored.get(file.id)
        if old is not None and old.digest == file.digest:
            continue
        if old is not None and old.root not in (None, file.root) and "@" in file.root:
            raise InvalidRequestError(
                f"{file.id!r} is stored from another folder of that name, and would be replaced:"
                " give this one a name of its own with `--source NAME`, or say by the same name"
                " that it takes the other's place. Nothing was stored."
            )
        changed.append(file)
    return changed


def find_files(paths: Sequence[Path], source: str | None = None) -> list[FoundFile]:
    """Every file below the paths, by name; hidden and empty ones only where they are named.

    Names begin with `source`, or else with the name of the folder. Raises UnreadableFileError for a
    path that is not there, or two files of one name.
    """
    found: dict[str, FoundFile] = {}
    for path in paths:
        for file in _below(path, source):
            other = found.setdefault(file.id, file)
            if other.path.resolve() != file.path.resolve():
                raise UnreadableFileError(
                    f"{other.path} and {file.path} would both be the document {file.id!r};"
                    " ingest them one after the other, each with a `--source NAME` of its own."
                )
    return [found[name] for name in sorted(found)]


def _below(path: Path, source: str | None) -> Iterator[FoundFile]:
    if path.is_file():
        named, root = _source(path.absolute().parent, source)
        yield FoundFile(path, str(named / path.name), root)
        return
    if not path.is_dir():
        raise UnreadableFileError(f"There is no file or folder {str(path)!r}.")
    named, root = _source(path, source)
    for folder, folders, names in os.walk(path):
        folders[:] = [one for one in folders if not one.startswith(".") and one not in _SKIPPED]
        for name in names:
            file = Path(folder) / name
            if not name.startswith(".") and file.is_file() and file.stat().st_size:
                yield FoundFile(file, str(named / file.relative_to(path)), root)


def _source(folder: Path, name: str | None) -> tuple[Path, str]:
    """What names of files in a folder begin with, and what tells it from others of that name.

    A name that was given is all there is to tell; else a mark of where the folder lies, which does
    not say where.
    """
    if name is not None:
        return Path(name), name
    place = folder.resolve()
    mark = sha256(os.fsencode(place)).hexdigest()[:_MARK_CHARACTERS]
    return Path(place.name), f"{place.name}@{mark}"
