"""The file of API keys: what it may say, how it is written, and that it is read when it changes.

It holds hashes, never keys. It is written whole, beside itself, with the rights of its owner alone,
and put in its place in one step: a reader finds the old file or the new one. Comments that a person
has put in are lost then.
"""

import json
import logging
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, TypeVar

from filelock import FileLock
from pydantic import AfterValidator, Field, JsonValue, StrictInt, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from llm_api.config.problems import shown
from llm_api.config.sections.field_types import Section, Text
from llm_api.config.settings import ConfigurationError
from llm_api.config.yaml_text import InvalidYamlError, parse_yaml, to_yaml
from llm_api.core.access.keys import SCOPES, USER_SCOPES, ApiKey, Limits, Scope
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.rights import DocumentRights, Right

log = logging.getLogger(__name__)

_HASH_PREFIX = "sha256:"
_EXPECTED = {
    "name": "must be up to 64 of a-z, 0-9 and ._-, the first a letter or a digit",
    "hash": f"must be {_HASH_PREFIX} and 64 hexadecimal digits, as `llm-api keys create` writes it",
    "scopes": f"must be a list of {', '.join(sorted(SCOPES))}",
    "models": "must be a list of names of models",
    "collections": "must map names of collections, or patterns such as team-*, to read or write",
    "filter": "must be a filter such as {team: red}, as a search takes it",
    "created": "must be a date such as 2026-01-31",
}

Model = TypeVar("Model", bound=Section)
Amount = Annotated[StrictInt, Field(ge=1)]
CollectionPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*-]{1,64}$")]


def _parsable(value: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
    try:
        parse_filter(value or {})
    except InvalidRequestError as error:
        raise ValueError(error.message) from error
    return value


class KeyEntry(Section):
    """One key. Without `models` it may use every model; limits not said are the settings'.

    Without `collections` it reads and writes all of them, without a `filter` every document.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    hash: Annotated[str, StringConstraints(pattern=rf"^{_HASH_PREFIX}[0-9a-f]{{64}}$")]
    scopes: tuple[Scope, ...] = tuple(sorted(USER_SCOPES))
    models: tuple[Text, ...] | None = Field(default=None, min_length=1)
    collections: dict[CollectionPattern, Right] | None = Field(default=None, min_length=1)
    filter: Annotated[dict[str, JsonValue] | None, AfterValidator(_parsable)] = None
    requests_per_minute: Amount | None = None
    tokens_per_minute: Amount | None = None
    tokens_per_day: Amount | None = None
    concurrency: Amount | None = None
    created: date | None = None

    def key(self, defaults: Limits) -> ApiKey:
        """What the entry means where nothing else is said. Pure."""
        return ApiKey(
            name=self.name,
            digest=self.hash.removeprefix(_HASH_PREFIX),
            scopes=frozenset(self.scopes),
            models=None if self.models is None else frozenset(self.models),
            limits=Limits(
                self.requests_per_minute or defaults.requests_per_minute,
                self.tokens_per_minute or defaults.tokens_per_minute,
                self.tokens_per_day or defaults.tokens_per_day,
                self.concurrency or defaults.concurrency,
            ),
            documents=DocumentRights(self.collections, parse_filter(self.filter or {})),
        )


class _File(Section):
    keys: tuple[KeyEntry, ...] = ()


def hash_text(digest: str) -> str:
    """A digest as entries have it. Pure."""
    return _HASH_PREFIX + digest


def read_keys(path: Path) -> tuple[KeyEntry, ...]:
    """The entries. Blocks. Raises ConfigurationError with one line that shows no hash."""
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
        return parse_keys({} if data is None else data)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.name}: is not UTF-8 text") from error
    except (InvalidYamlError, ConfigurationError) as error:
        raise ConfigurationError(f"{path.name}: {error}") from error


def parse_keys(data: object) -> tuple[KeyEntry, ...]:
    """The entries out of plain values. Pure. Raises ConfigurationError."""
    entries = _validated(_File, data).keys
    names = [entry.name for entry in entries]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigurationError(f"keys[{place}].name: {shown(name)} is there already")
    return entries


def add_key(path: Path, **values: object) -> None:
    """Add an entry with these values, None for those not given; begin the file if need be. Blocks.

    Raises ConfigurationError.
    """
    given = {name: value for name, value in values.items() if value is not None}
    entry = _validated(KeyEntry, given)

    def added(entries: Sequence[KeyEntry]) -> Sequence[KeyEntry]:
        if any(entry.name == other.name for other in entries):
            raise ConfigurationError(f"{path}: a key {shown(entry.name)} is there already")
        return (*entries, entry)

    change_keys(path, added)


def remove_key(path: Path, name: str) -> None:
    """Remove the entry of that name. Blocks. Raises ConfigurationError."""

    def left(entries: Sequence[KeyEntry]) -> Sequence[KeyEntry]:
        others = tuple(entry for entry in entries if entry.name != name)
        if len(others) == len(entries):
            raise ConfigurationError(f"{path}: there is no key {shown(name)}")
        return others

    read_keys(path)  # one that is not there is no file to begin
    change_keys(path, left)


def change_keys(
    path: Path, change: Callable[[Sequence[KeyEntry]], Sequence[KeyEntry]]
) -> Sequence[KeyEntry]:
    """Write what `change` makes of the entries, in one step for all processes. Blocks.

    Raises ConfigurationError, and what `change` raises: then nothing is written.
    """
    with _locked(path):
        entries = change(read_keys(path) if path.exists() else ())
        write_keys(path, entries)
    return entries


def write_keys(path: Path, entries: Sequence[KeyEntry]) -> None:
    """Put a file with these entries in the place of `path`. Blocks. Raises ConfigurationError."""
    data = {"keys": [entry.model_dump(mode="json", exclude_none=True) for entry in entries]}
    text = json.dumps(data, indent=2) + "\n" if path.suffix == ".json" else to_yaml(data)
    path = path.resolve()  # what a link points to, not the link
    try:
        with NamedTemporaryFile(  # created with mode 0600
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _locked(path: Path) -> Generator[None, None, None]:
    """One change at a time: of two at once, one would be lost, and a revoked key be back."""
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), mode=0o600):
            yield
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be changed: {error.strerror}") from error


class WatchedKeys:
    """The keys of a file as it is now. A file that has become unreadable changes nothing.

    Nor does one that has become empty, as a file is while it is written: no keys at all are
    `keys: []`.
    """

    def __init__(self, path: Path, defaults: Limits) -> None:
        """Read the file. Blocks. Raises ConfigurationError."""
        self._path = path
        self._defaults = defaults
        self._state = self._look()
        self._keys = self._read()

    def __call__(self) -> tuple[ApiKey, ...]:
        """The keys: the same object until the file changes. Looks at the file's date each time."""
        state = self._look()
        if state != self._state:
            self._state = state
            try:
                self._keys = self._changed()
            except ConfigurationError as error:
                log.error("the keys stay as they were: %s", error)
        return self._keys

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _changed(self) -> tuple[ApiKey, ...]:
        if self._state is not None and self._state[1] == 0:
            raise ConfigurationError(f"{self._path.name}: is empty; no keys are `keys: []`")
        return self._read()

    def _read(self) -> tuple[ApiKey, ...]:
        return tuple(entry.key(self._defaults) for entry in read_keys(self._path))


def _validated(kind: type[Model], data: object) -> Model:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
    # Outside the handler, because a chained ValidationError carries the values.
    raise ConfigurationError(_explain(problem))


def _explain(problem: ErrorDetails) -> str:
    location = problem["loc"]
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in location)
    keys = [key for key in location if isinstance(key, str) and key != "keys"]
    if problem["type"] == "extra_forbidden":
        complaint = "unknown key"
    elif problem["type"] == "missing":
        complaint = "must be given"
    elif problem["type"] == "value_error":
        complaint = str(problem["ctx"]["error"])
    elif keys:
        complaint = _EXPECTED.get(keys[0], "must be a whole number, at least 1")
    else:
        complaint = "must be a list" if location == ("keys",) else "must be a mapping of keys"
    return f"{place.removeprefix('.')}: {complaint}".removeprefix(": ")
