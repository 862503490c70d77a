"""Which files of the paths a person names are to be ingested, and under which names. Blocks.

A name is a path from a source: the folder that was named, or that of a file that was named. Two
folders may have one name, so a document remembers from which of them it came (`ROOT_FIELD`), and a
file of the other is refused: `--source` tells them apart.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path

from llm_api.cli.rag.fitness import Unfit, head_of, is_picture, why_unfit
from llm_api.cli.rag.ignored import Ignored
from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.files import ROOT_FIELD, document_id
from llm_api.core.rag.sync import MARK
from llm_api.core.rag.types import Metadata

_SKIPPED = frozenset({"__pycache__", "node_modules"})
_MARK_CHARACTERS = 12


@dataclass(frozen=True)
class FoundFile:
    """`name` is its path from its source, whose name comes first. `root` is which source it is.

    `stamp` is the same while nobody has written to it.
    """

    path: Path
    name: str
    root: str
    stamp: tuple[int, ...] | None = None

    @property
    def id(self) -> str:
        return document_id(self.name)

    @property
    def size(self) -> int:
        """In bytes; 0 for one that is gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def metadata(self) -> Metadata:
        """That of its document."""
        return {ROOT_FIELD: self.root}

    def read(self) -> bytes:
        """Raises UnreadableFileError."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise self._unopened(error) from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its bytes. Raises UnreadableFileError."""
        try:
            with self.path.open("rb") as stream:
                return file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise self._unopened(error) from error

    def unfit(self) -> Unfit | None:
        """Why it cannot be a document. Raises UnreadableFileError where it cannot be opened."""
        try:
            return why_unfit(head_of(self.path), self.size, self.path.name)
        except OSError as error:
            raise self._unopened(error) from error

    def is_picture(self) -> bool:
        return is_picture(self.path)

    def _unopened(self, error: OSError) -> UnreadableFileError:
        return UnreadableFileError(f"{self.name}: {error.strerror}.")


@dataclass(frozen=True, slots=True)
class FoundSource:
    """The files of one source by their documents' ids, ascending, and whether these are all."""

    name: str
    root: str
    files: Mapping[str, FoundFile]
    is_complete: bool


def find_sources(
    paths: Sequence[Path], source: str | None = None, *, ignores: bool = True
) -> list[FoundSource]:
    """What `find_files` finds, by source. Of a folder these are all its files."""
    folders = {root for path in paths for _, root in [_source(path, source)] if path.is_dir()}
    single = {
        root
        for path in paths
        for _, root in [_source(path.absolute().parent, source)]
        if not path.is_dir()
    }
    found: defaultdict[str, dict[str, FoundFile]] = defaultdict(dict)
    for file in find_files(paths, source, ignores=ignores):
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


def find_files(
    paths: Sequence[Path], source: str | None = None, *, ignores: bool = True
) -> list[FoundFile]:
    """Every file below the paths, by name; hidden ones only where they are named.

    With `ignores`, those that `.gitignore` names are left out as well. Names begin with `source`,
    or else with the name of the folder. Raises UnreadableFileError for a path that is not there, or
    two files of one name.
    """
    found: dict[str, FoundFile] = {}
    for path in paths:
        for file in _below(path, source, ignores=ignores):
            other = found.setdefault(file.id, file)
            if other.path.resolve() != file.path.resolve():
                raise UnreadableFileError(
                    f"{other.path} and {file.path} would both be the document {file.id!r};"
                    " ingest them one after the other, each with a `--source NAME` of its own."
                )
    return [found[name] for name in sorted(found)]


def is_hidden(name: str) -> bool:
    """Whether a path, or a folder on the way to it, is one that nobody means to store."""
    return any(part.startswith(".") or part in _SKIPPED for part in name.split("/"))


def mark_of(folder: Path) -> tuple[str, str]:
    """The name of a folder, and the root that tells it from others without saying where it lies."""
    place = folder.resolve()
    name = place.name or "root"
    mark = sha256(os.fsencode(place)).hexdigest()[:_MARK_CHARACTERS]
    return name, f"{name}{MARK}{mark}"


def _below(path: Path, source: str | None, *, ignores: bool) -> Iterator[FoundFile]:
    if path.is_file():
        named, root = _source(path.absolute().parent, source)
        yield FoundFile(path, str(named / path.name), root, _stamp(path.stat()))
        return
    if not path.is_dir():
        raise UnreadableFileError(f"There is no file or folder {str(path)!r}.")
    named, root = _source(path, source)
    ignored = Ignored(path) if ignores else None
    for folder, folders, names in os.walk(path):
        here = Path(folder)
        folders[:] = [
            one
            for one in folders
            if not is_hidden(one)
            and (ignored is None or not ignored.covers(here / one, is_folder=True))
        ]
        for name in names:
            file = here / name
            if name.startswith(".") or (ignored is not None and ignored.covers(file)):
                continue
            try:
                status = file.stat()
            except OSError:
                continue  # gone meanwhile, or a link to nothing
            if stat.S_ISREG(status.st_mode):
                relative = str(named / file.relative_to(path))
                yield FoundFile(file, relative, root, _stamp(status))


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _source(folder: Path, name: str | None) -> tuple[Path, str]:
    """What names of files in a folder begin with, and what tells it from others of that name.

    A name that was given is all there is to tell.
    """
    if name is not None:
        return Path(name), name
    found, root = mark_of(folder)
    return Path(found), root
