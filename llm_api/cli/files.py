"""Which files of the paths a person names are to be ingested, and under which names. Blocks.

A name is a path from a source: the folder that was named, or that of a file that was named. Two
folders may have one name, so a document remembers from which of them it came (`ROOT_FIELD`), and a
file of the other is refused: `--source` tells them apart.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.files import document_id
from llm_api.core.rag.sync import MARK

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
class FoundSource:
    """The files of one source by their documents' ids, ascending, and whether these are all."""

    name: str
    root: str
    files: Mapping[str, FoundFile]
    is_complete: bool


def find_sources(paths: Sequence[Path], source: str | None = None) -> list[FoundSource]:
    """What `find_files` finds, by source. Of a folder these are all its files."""
    folders = {root for path in paths for _, root in [_source(path, source)] if path.is_dir()}
    single = {
        root
        for path in paths
        for _, root in [_source(path.absolute().parent, source)]
        if not path.is_dir()
    }
    found: defaultdict[str, dict[str, FoundFile]] = defaultdict(dict)
    for file in find_files(paths, source):
        found[file.root][file.id] = file
    return [
        FoundSource(
            name=document_id(root.rpartition(MARK)[0] or root),
            root=root,
            files=found[root],
            is_complete=root in folders and (MARK in root or root not in single),
        )
        for root in sorted(folders | single)
    ]


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
    name = place.name or "root"
    return Path(name), f"{name}{MARK}{mark}"
