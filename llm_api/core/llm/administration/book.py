"""What is remembered of models beside the settings: a small file, the same for all processes.

Which models were pulled, which pulls have not ended, and which names models were given. A process
sees what another has changed at its next look: it asks the file's date each time. It is a file
beside this server's models and not in the database: servers that share that have other disks.
"""

import json
import logging
import os
from asyncio import to_thread
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from llm_api.core.errors import ModelFileError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PulledModel:
    """A model that was pulled, and the id that it is served by."""

    id: str
    repo_id: str
    filename: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BegunPull:
    """A pull that was asked for by `name`, and has not ended. `created_at` in Unix seconds."""

    id: str
    name: str
    repo_id: str
    filename: str
    created_at: float


@dataclass(frozen=True, slots=True)
class BookContents:
    """`models` and `pulls` by their ids; `aliases` are ids of models by the names given to them."""

    models: Mapping[str, PulledModel] = field(default_factory=dict)
    pulls: Mapping[str, BegunPull] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


Change: TypeAlias = Callable[[BookContents], BookContents]


class ModelBook:
    """The file need not exist. Reading it never fails: what was known before stays."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._look: tuple[int, int, int] | None = None
        self._contents = BookContents()

    def contents(self) -> BookContents:
        """As the file is now. Blocks for a look at its date."""
        look = self._looked()
        if look != self._look:
            self._look = look
            try:
                self._contents = self._read()
            except ModelFileError as error:
                log.error("names and pulled models stay as they were: %s", error.message)
        return self._contents

    async def change(self, change: Change) -> None:
        """Make the file what the change makes of its contents, for all processes.

        Raises ModelFileError where the file is damaged, or cannot be written.
        """
        await to_thread(self._change, change)

    def _change(self, change: Change) -> None:
        from filelock import FileLock  # noqa: PLC0415 - most servers never change it

        folder = self._file.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{self._file.name}.lock"):
                new = self._file.with_name(f".{self._file.name}.new")
                with new.open("w", encoding="utf-8") as stream:
                    stream.write(_to_json(change(self._read())))
                    stream.flush()
                    os.fsync(stream.fileno())
                new.replace(self._file)
        except OSError as error:
            raise ModelFileError(
                f"{self._file.name} in DATA_DIR cannot be written: {error.strerror}."
            ) from error

    def _looked(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> BookContents:
        try:
            return _from_json(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return BookContents()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFileError(
                f"{self._file.name} in DATA_DIR is damaged; mend it, or delete it."
            ) from error


def _to_json(contents: BookContents) -> str:
    values = {
        "models": [asdict(one) for one in contents.models.values()],
        "pulls": [asdict(one) for one in contents.pulls.values()],
        "aliases": dict(contents.aliases),
    }
    return json.dumps(values, indent=2, ensure_ascii=False)


def _from_json(text: str) -> BookContents:
    values: dict[str, Any] = json.loads(text)
    models = [PulledModel(**{**one, "aliases": tuple(one["aliases"])}) for one in values["models"]]
    pulls = [BegunPull(**one) for one in values["pulls"]]
    return BookContents(
        {one.id: one for one in models}, {one.id: one for one in pulls}, values["aliases"]
    )
