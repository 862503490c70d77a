"""Which folder holds which collection, kept twice so that either can be lost. Blocks.

    <folder>/collections.json             name -> subfolder and by what it was made
    <folder>/<subfolder>/collection.json  the same of this subfolder alone
    <folder>/<subfolder>/disposable       this subfolder is new, or about to go

What a start does with what it finds:

    1. collections.json can be read           it says what there is
    2. it is gone or damaged                  it is made anew from each collection.json, and a
                                              damaged one is kept under another name
    3. a subfolder that nothing names, and
       a. that is disposable, in case 1       a crash left it: it is removed
       b. that knows its name                 it is that collection again
       c. that does not, and is one           it is the collection `recovered-...`
       d. otherwise, or where the name is     it stays, and the log names it
          taken

In case 2 those that are disposable come last, and are so no longer. So nothing is removed because
something else could not be read.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from llm_api.core.rag.stores.checked_file import (
    DamagedFileError,
    read_checked,
    sync_folder,
    write_checked,
)
from llm_api.core.rag.stores.points import Recipe
from llm_api.core.rag.vector_store import FIRST_RULE, EmbeddingModel

log = logging.getLogger(__name__)

UNKNOWN_MODEL: Final = "unknown"
"""The model of a collection that has lost both descriptions."""

_DESCRIPTION: Final = "collection.json"
_DISPOSABLE: Final = "disposable"
_ENGINE_CONFIG: Final = "edge_config.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a collection is, and by what it was made."""

    subfolder: str
    embedding: EmbeddingModel
    words: int = FIRST_RULE

    @property
    def recipe(self) -> Recipe:
        return Recipe(self.embedding, self.words)


@dataclass(frozen=True, slots=True)
class _Description:
    name: str
    entry: Entry


_ENTRIES = TypeAdapter(dict[str, Entry])
_ONE = TypeAdapter(_Description)


class Catalogue:
    """The collections of `folder`. What it says is on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "collections.json"
        self._entries: dict[str, Entry] = {}
        self._open()

    @property
    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def path(self, entry: Entry) -> Path:
        return self._folder / entry.subfolder

    def begin(self, subfolder: str) -> Path:
        """A new subfolder, which a start removes again until `change` names it."""
        path = self._folder / subfolder
        path.mkdir()
        mark_disposable(path)
        return path

    def change(self, entries: Mapping[str, Entry]) -> None:
        """Have these collections, durably, in one step. Subfolders they do not name may go."""
        for entry in self._entries.values():
            if entry not in entries.values() and self.path(entry).is_dir():
                mark_disposable(self.path(entry))
        write_checked(self._file, _ENTRIES.dump_python(dict(entries), mode="json"))
        self._entries = dict(entries)
        for name, entry in entries.items():
            self._describe(name, entry)

    def remove(self, entry: Entry) -> None:
        """The subfolder of a collection that there is no more."""
        shutil.rmtree(self.path(entry), ignore_errors=True)

    def _describe(self, name: str, entry: Entry) -> None:
        """Have a subfolder tell what it is, for good."""
        path = self.path(entry)
        if not path.is_dir():
            return
        if self._description(path) != _Description(name, entry):
            write_checked(path / _DESCRIPTION, asdict(_Description(name, entry)))
        (path / _DISPOSABLE).unlink(missing_ok=True)

    def _description(self, path: Path) -> _Description | None:
        """What a subfolder tells of itself, wherever it lies. None where it cannot be read."""
        try:
            said = _ONE.validate_python(read_checked(path / _DESCRIPTION))
        except FileNotFoundError:
            return None
        except (DamagedFileError, ValidationError, OSError) as error:
            log.warning("%s is damaged: %s", path / _DESCRIPTION, _first_line(error))
            return None
        return _Description(said.name, Entry(path.name, said.entry.embedding, said.entry.words))

    def _open(self) -> None:
        """The cases are those above."""
        listed = self._read()
        self._entries = listed or {}  # 1
        entries = dict(self._entries)
        named = {entry.subfolder for entry in entries.values()}
        unnamed = [path for path in self._subfolders() if path.name not in named]
        for path in sorted(unnamed, key=_is_disposable):
            if _is_disposable(path) and listed is not None:
                shutil.rmtree(path, ignore_errors=True)  # 3a
                continue
            self._recover(path, entries)
            (path / _DISPOSABLE).unlink(missing_ok=True)
        if entries != listed:
            self.change(entries)
        for name, entry in entries.items():
            if self.path(entry).is_dir() and not (self.path(entry) / _DESCRIPTION).exists():
                log.warning(
                    "%s did not say which collection it is, and does again", entry.subfolder
                )
            self._describe(name, entry)

    def _recover(self, path: Path, entries: dict[str, Entry]) -> None:
        """A subfolder that nothing names. Mutates `entries`."""
        said = self._description(path) or _made_up(path)
        if said is None:
            log.warning("%s is no collection, and stays as it is", path)  # 3d
            return
        there = entries.get(said.name)
        if there is not None and self.path(there).is_dir():
            log.warning(
                "%s says that it is the collection %r, which is in %s: it stays as it is",
                path,
                said.name,
                there.subfolder,
            )  # 3d
            return
        log.warning("%s is the collection %r again", path, said.name)
        entries[said.name] = said.entry  # 3b, 3c

    def _read(self) -> dict[str, Entry] | None:
        """What collections.json says; None in case 2."""
        try:
            content = read_checked(self._file)
            return _ENTRIES.validate_python(content)
        except FileNotFoundError:
            if not any(self._subfolders()):
                return {}
            self._keep_damaged("is gone")
        except DamagedFileError as error:
            if (earlier := self._unchecked()) is not None:
                return earlier
            self._keep_damaged(f"is damaged: {error}")
        except (ValidationError, OSError) as error:
            self._keep_damaged(f"cannot be read: {_first_line(error)}")
        return None

    def _unchecked(self) -> dict[str, Entry] | None:
        """The list of an earlier version, which has no checksum. None if this is none."""
        try:
            return _ENTRIES.validate_json(self._file.read_bytes())
        except (ValueError, OSError):
            return None

    def _keep_damaged(self, how: str) -> None:
        log.warning("%s %s; it is made anew from what the folders say", self._file, how)
        if self._file.exists():
            kept = self._file.with_name(f"{self._file.name}.damaged-{time.time_ns()}")
            self._file.rename(kept)
            sync_folder(self._folder)
            log.warning("what was in %s is kept as %s", self._file, kept.name)

    def _subfolders(self) -> Iterator[Path]:
        """Those that may be looked into: the folder may be a disk of its own, with `lost+found`."""
        paths = (path for path in sorted(self._folder.iterdir()) if path.is_dir())
        return (path for path in paths if os.access(path, os.R_OK | os.X_OK))


def _is_disposable(path: Path) -> bool:
    return (path / _DISPOSABLE).exists()


def mark_disposable(path: Path) -> None:
    """Have a start remove this subfolder, if collections.json can be read and does not name it."""
    (path / _DISPOSABLE).touch()
    sync_folder(path)


def _made_up(path: Path) -> _Description | None:
    """A collection that does not know its name any more, but how long its vectors are."""
    try:
        config = json.loads((path / _ENGINE_CONFIG).read_bytes())
        dimension = int(config["vectors"]["dense"]["size"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    name = f"recovered-{''.join(filter(str.isalnum, path.name))[:48]}"
    return _Description(name, Entry(path.name, EmbeddingModel(UNKNOWN_MODEL, dimension)))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
