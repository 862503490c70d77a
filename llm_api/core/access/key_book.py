"""Keys as an administrator has them: listed, made, limited, revoked. Knows no file and no HTTP.

Covers: nobody gives another key more than its own may do, and the last key that may come back to
this is not revoked. Does not cover: an administrator may revoke every other key, and lift limits.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Literal, Protocol, TypeAlias

from llm_api.core.access.keys import USER_SCOPES, ApiKey, Limits, Scope, digest_of, new_secret
from llm_api.core.errors import (
    KeyNotFoundError,
    KeysReadOnlyError,
    LastAdminKeyError,
    PermissionDeniedError,
)
from llm_api.core.llm.types import JSON
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.rights import DocumentRights, Right
from llm_api.core.utils.long_work import to_the_end

KeyOrigin: TypeAlias = Literal["file", "settings"]
NO_FILE: Final = "This server has no file of keys: set API_KEYS_FILE, and start it again."


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is written down. A limit of None is the server's default."""

    name: str
    scopes: frozenset[Scope] = USER_SCOPES
    models: tuple[str, ...] | None = None
    collections: Mapping[str, Right] | None = None
    filter: Mapping[str, JSON] | None = None
    limits: Limits = field(default_factory=Limits)
    created: date | None = None
    origin: KeyOrigin = "file"

    @property
    def documents(self) -> DocumentRights:
        """Raises InvalidRequestError for a filter that is none."""
        return DocumentRights(self.collections, parse_filter(dict(self.filter or {})))


class KeyBook(Protocol):
    """Where keys are written down. Every method blocks, and is one step for all processes.

    All raise KeysReadOnlyError where the book cannot be read or changed.
    """

    def problem(self) -> str | None:
        """Why nothing can be changed; None where it can."""
        ...

    def all(self) -> Sequence[KeyRecord]: ...

    def add(self, record: KeyRecord, digest: str) -> KeyRecord:
        """The record, with its date. Raises KeyExistsError."""
        ...

    def limit(self, name: str, limits: Limits) -> KeyRecord:
        """Put these limits in the place of the key's. Raises KeyNotFoundError."""
        ...

    def remove(self, name: str, *, needs_admin: bool) -> None:
        """Raises KeyNotFoundError; LastAdminKeyError where none but it has the scope `admin`."""
        ...


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was just made. The secret is nowhere else."""

    record: KeyRecord
    secret: str


class KeyAdministration:
    """What may be done to keys. `fixed` ones are those of the settings, which stay."""

    def __init__(
        self,
        book: KeyBook | None = None,
        fixed: Sequence[ApiKey] = (),
        defaults: Limits | None = None,
    ) -> None:
        self._book = book
        self._fixed = tuple(fixed)
        self.defaults = defaults or Limits()

    async def problem(self) -> str | None:
        """Why no key can be made or changed here; None where that can be."""
        return NO_FILE if self._book is None else await asyncio.to_thread(self._book.problem)

    async def all(self) -> Sequence[KeyRecord]:
        """Every key: those of the settings, then those of the book in its order."""
        written = [] if self._book is None else await asyncio.to_thread(self._book.all)
        return [*map(_fixed_record, self._fixed), *written]

    async def get(self, name: str) -> KeyRecord:
        """Raises KeyNotFoundError."""
        found = next((one for one in await self.all() if one.name == name), None)
        if found is None:
            raise KeyNotFoundError(f"There is no key `{name}`.", param="name")
        return found

    async def create(self, record: KeyRecord, maker: ApiKey) -> MadeKey:
        """Write a new key down, which may do no more than its maker.

        Raises KeyExistsError, KeysReadOnlyError, InvalidRequestError, PermissionDeniedError.
        """
        book = self._changeable()
        _check_is_within(record, maker)
        secret = new_secret()
        # Done whole, even when the client leaves, as are the others.
        written = await to_the_end(asyncio.to_thread(book.add, record, digest_of(secret)))
        return MadeKey(written, secret)

    async def limit(self, name: str, **limits: int | None) -> KeyRecord:
        """Change these limits, by the names of `Limits`. Raises as `get` and `create`."""
        book = self._changeable()
        record = await self.get(name)
        self._check_is_written(record)
        changed = replace(record.limits, **limits)
        return await to_the_end(asyncio.to_thread(book.limit, name, changed))

    async def revoke(self, name: str) -> None:
        """Requests that are being answered go on; the next one is refused.

        Raises LastAdminKeyError where nobody could manage keys any more, else as `limit`.
        """
        book = self._changeable()
        self._check_is_written(await self.get(name))
        needs_admin = not any("admin" in key.scopes for key in self._fixed)
        await to_the_end(asyncio.to_thread(book.remove, name, needs_admin=needs_admin))

    def _changeable(self) -> KeyBook:
        if self._book is None:
            raise KeysReadOnlyError(NO_FILE)
        return self._book

    @staticmethod
    def _check_is_written(record: KeyRecord) -> None:
        if record.origin == "settings":
            raise KeysReadOnlyError(
                f"The key `{record.name}` is that of the server's settings: change it there."
            )


def last_admin(name: str) -> LastAdminKeyError:
    """The refusal to revoke the key of this name."""
    return LastAdminKeyError(
        f"`{name}` is the last key with the scope `admin`: make another one first, or revoke it on"
        " the server with `llm-api keys revoke`."
    )


def _fixed_record(key: ApiKey) -> KeyRecord:
    return KeyRecord(key.name, key.scopes, limits=key.limits, origin="settings")


def _check_is_within(record: KeyRecord, maker: ApiKey) -> None:
    """Raises PermissionDeniedError where the key could do what its maker cannot."""
    beyond = sorted(record.scopes - maker.scopes)
    if beyond:
        raise PermissionDeniedError(
            f"Your key lacks the scope '{beyond[0]}', so it cannot give it."
        )
    if maker.models is not None and not maker.models.issuperset(record.models or ("*",)):
        raise PermissionDeniedError(
            "Your key is for certain models: name some of them in `models`."
        )
    is_limited = "rag" in record.scopes and maker.documents.are_limited
    if is_limited and record.documents != maker.documents:
        raise PermissionDeniedError(
            "Your key sees certain documents: give the same `collections` and `filter`."
        )
