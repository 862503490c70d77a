"""The file of keys as `core/access` changes it: the same that `llm-api keys` writes."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from llm_api.config.keys_file import KeyEntry, add_key, change_keys, hash_text, read_keys
from llm_api.config.settings import ConfigurationError
from llm_api.core.access.key_book import KeyRecord, last_admin
from llm_api.core.access.keys import Limits
from llm_api.core.errors import KeyExistsError, KeyNotFoundError, KeysReadOnlyError, without_folders


class KeysFile:
    """A `KeyBook` over the file of this path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def problem(self) -> str | None:
        """What can be seen without a change: rights, and whether the file can be read."""
        try:
            read_keys(self._path)
        except ConfigurationError as error:
            return without_folders(str(error))
        if os.access(self._path.resolve().parent, os.W_OK):
            return None
        return f"{self._path.name} cannot be changed: its folder is read-only for this server."

    def all(self) -> Sequence[KeyRecord]:
        with _told():
            return [*map(_record, read_keys(self._path))]

    def add(self, record: KeyRecord, digest: str) -> KeyRecord:
        created = datetime.now(UTC).date()
        with _told():
            if any(record.name == one.name for one in read_keys(self._path)):
                raise KeyExistsError(f"A key `{record.name}` is there already.", param="name")
            add_key(
                self._path,
                name=record.name,
                hash=hash_text(digest),
                scopes=sorted(record.scopes),
                models=record.models,
                collections=record.collections,
                filter=record.filter,
                created=created,
                **asdict(record.limits),
            )
        return replace(record, created=created)

    def limit(self, name: str, limits: Limits) -> KeyRecord:
        def limited(entries: Sequence[KeyEntry]) -> Sequence[KeyEntry]:
            found = _named(name, entries)
            changed = found.model_copy(update=asdict(limits))
            return [changed if entry is found else entry for entry in entries]

        with _told():
            return _record(_named(name, change_keys(self._path, limited)))

    def remove(self, name: str, *, needs_admin: bool) -> None:
        def left(entries: Sequence[KeyEntry]) -> Sequence[KeyEntry]:
            found = _named(name, entries)
            others = [entry for entry in entries if entry is not found]
            is_last = not any("admin" in other.scopes for other in others)
            if needs_admin and is_last and "admin" in found.scopes:
                raise last_admin(name)
            return others

        with _told():
            change_keys(self._path, left)


def _named(name: str, entries: Sequence[KeyEntry]) -> KeyEntry:
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        raise KeyNotFoundError(f"There is no key `{name}`.", param="name")
    return found


def _record(entry: KeyEntry) -> KeyRecord:
    return KeyRecord(
        name=entry.name,
        scopes=frozenset(entry.scopes),
        models=entry.models,
        collections=entry.collections,
        filter=entry.filter,
        limits=Limits(
            entry.requests_per_minute,
            entry.tokens_per_minute,
            entry.tokens_per_day,
            entry.concurrency,
        ),
        created=entry.created,
    )


@contextmanager
def _told() -> Generator[None, None, None]:
    """Raises what the file does as the core's error, without folders."""
    try:
        yield
    except ConfigurationError as error:
        raise KeysReadOnlyError(
            f"The keys are as they were: {without_folders(str(error))}"
        ) from error
