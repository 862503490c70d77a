"""The embedded engine: collections in a folder that one process at a time may open.

    <folder>/lock               held while it is open
    <folder>/collections.json   which subfolder is which collection: see `catalogue`
    <folder>/<subfolder>/       a shard of Qdrant, and what it says of itself

A collection is opened if its files are what they were when it was sealed (`seal`), or where there
is no seal, if another process could open it (`edge_check`). Otherwise it is damaged: it keeps its
name and its files as they are, can be deleted, and is looked at again when its files have changed.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from filelock import FileLock, Timeout
from qdrant_edge import EdgeShard

from llm_api.core.errors import (
    CollectionDamagedError,
    CollectionNotFoundError,
    VectorStoreLockedError,
)
from llm_api.core.rag.stores.catalogue import Catalogue, Entry
from llm_api.core.rag.stores.checked_file import DamagedFileError
from llm_api.core.rag.stores.edge_check import check
from llm_api.core.rag.stores.edge_points import EdgePoints, create_shard, load_shard
from llm_api.core.rag.stores.points import Recipe
from llm_api.core.rag.stores.seal import damages, read_seal, sums, unseal

log = logging.getLogger(__name__)

LOCK_SECONDS = 5.0
"""How long to wait for another process to go: that of a server just killed needs a moment."""

_SEAL_SECONDS = 1.5
"""How long closing may take to seal what is not sealed yet."""

_OPENED_TOGETHER = 2
_NAMED_FILES = 3

_Look: TypeAlias = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Damage:
    """Why a collection cannot be used, and how its files looked then."""

    reason: str
    look: _Look


class EdgeEngine:
    """The collections of `folder`, which nobody else has open. Use `open_edge`."""

    def __init__(self, folder: Path, *, is_durable: bool) -> None:
        self._is_durable = is_durable
        self._catalogue = Catalogue(folder)
        self._points: dict[str, EdgePoints] = {}
        self._damaged: dict[str, _Damage] = {}
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Open what can be opened."""
        together = asyncio.Semaphore(_OPENED_TOGETHER)

        async def open_one(name: str) -> None:
            async with together:
                await self._open(name)

        await asyncio.gather(*map(open_one, self._catalogue.entries))

    async def aclose(self) -> None:
        deadline = time.monotonic() + _SEAL_SECONDS
        for points in self._points.values():
            await points.aclose(deadline)

    async def names(self) -> tuple[str, ...]:
        return tuple(self._catalogue.entries)

    async def recipe(self, name: str) -> Recipe:
        entry = self._entry(name)
        await self._look_again(name)
        return entry.recipe

    async def damage(self, name: str) -> str | None:
        self._entry(name)
        await self._look_again(name)
        damage = self._damaged.get(name)
        return None if damage is None else damage.reason

    async def create(self, name: str, recipe: Recipe) -> None:
        path = self._catalogue.begin(f"{uuid4().hex}.0")
        shard = create_shard(path, recipe.embedding.dimension)
        if self._is_durable:
            shard.flush()
        entry = Entry(path.name, recipe.embedding, recipe.words)
        self._catalogue.change({**self._catalogue.entries, name: entry})
        self._points[name] = self._opened(name, shard)

    async def drop(self, name: str) -> None:
        entry = self._entry(name)
        self._catalogue.change(self._without(name))
        await self._forget(self._points.pop(name, None), entry)
        self._damaged.pop(name, None)

    async def rename(self, name: str, new_name: str) -> None:
        entry, replaced = self._entry(name), self._catalogue.entries.get(new_name)
        points = self.points(name)
        if name == new_name:
            return
        self._catalogue.change({**self._without(name), new_name: entry})
        old = self._points.pop(new_name, None)
        self._damaged.pop(new_name, None)
        self._points[new_name] = self._points.pop(name)
        points.on_move = partial(self._moved, new_name)
        if replaced is not None:
            await self._forget(old, replaced)

    def points(self, name: str) -> EdgePoints:
        """Raises CollectionDamagedError too."""
        self._entry(name)
        if (damage := self._damaged.get(name)) is not None:
            raise CollectionDamagedError(
                f"The collection {name!r} is damaged: {damage.reason}. Put back what was there, or"
                " delete the collection and store its documents again."
            )
        return self._points[name]

    def _entry(self, name: str) -> Entry:
        if name not in self._catalogue.entries:
            raise CollectionNotFoundError(f"There is no collection {name!r}.", param="collection")
        return self._catalogue.entries[name]

    def _without(self, name: str) -> dict[str, Entry]:
        return {key: one for key, one in self._catalogue.entries.items() if key != name}

    async def _look_again(self, name: str) -> None:
        """Open a damaged collection if its files have changed since: the good ones may be back."""
        if name not in self._damaged:
            return
        async with self._opening:
            damage = self._damaged.get(name)
            if damage is not None and _look(self._path(name)) != damage.look:
                await self._open(name)

    async def _open(self, name: str) -> None:
        entry, path = self._catalogue.entries[name], self._path(name)
        look = _look(path)
        try:
            reason = None if look else f"its folder {path.name} is gone"
            if reason is None and self._is_durable:
                reason = await _examine(name, path)
            if self._catalogue.entries.get(name) != entry:
                return  # somebody has deleted or replaced it meanwhile
            if reason is None:
                self._points[name] = self._opened(name, load_shard(path))
                self._points[name].seal_soon()
        except Exception as error:
            log.exception("the collection %r cannot be opened", name)
            reason = f"it cannot be opened ({type(error).__name__})"
        if reason is None:
            if self._damaged.pop(name, None):
                log.warning("the collection %r is whole again", name)
            return
        log.error("the collection %r in %s is damaged: %s", name, path, reason)
        self._damaged[name] = _Damage(reason, look)

    def _path(self, name: str) -> Path:
        return self._catalogue.path(self._catalogue.entries[name])

    def _opened(self, name: str, shard: EdgeShard) -> EdgePoints:
        moved = partial(self._moved, name)
        return EdgePoints(shard, self._path(name), moved, is_durable=self._is_durable)

    def _moved(self, name: str, folder: Path) -> None:
        entries = self._catalogue.entries
        moved = replace(entries[name], subfolder=folder.name)
        self._catalogue.change({**entries, name: moved})

    async def _forget(self, points: EdgePoints | None, entry: Entry) -> None:
        """Its folder goes now, the rest with the last search that is still at it."""
        if points is not None:
            await points.stop_working()
        self._catalogue.remove(entry)


async def _examine(name: str, path: Path) -> str | None:
    """Why a collection must not be opened, None where it may: its seal is broken then."""
    try:
        sealed = await asyncio.to_thread(read_seal, path)
    except DamagedFileError as error:
        log.warning("the seal of the collection %r is damaged: %s", name, error)
        sealed = None
    if sealed is None:
        log.warning("the collection %r has no seal, as after a crash: it is read through", name)
        return await _read_through(name, path)
    if found := damages(sealed, await asyncio.to_thread(sums, path)):
        more = f", and {len(found) - _NAMED_FILES} more" if len(found) > _NAMED_FILES else ""
        return "; ".join(found[:_NAMED_FILES]) + more
    await asyncio.to_thread(unseal, path)
    return None


async def _read_through(name: str, path: Path) -> str | None:
    reason, broken = await check(path)
    if broken:
        log.error(
            "documents of the collection %r are damaged, delete them and store them again: %s",
            name,
            ", ".join(map(repr, broken)),
        )
    if reason is None:
        await asyncio.to_thread(unseal, path)
    return reason


def _look(path: Path) -> _Look:
    """What changes when a file does."""
    found = ((str(one), one.stat()) for one in sorted(path.rglob("*")) if one.is_file())
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def _lock(folder: Path) -> FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        log.warning("another process has the vector store in %r open", str(folder))
        raise VectorStoreLockedError(
            "Another process has the vector store open: stop it, or give this one another DATA_DIR."
        ) from None
    return lock


@asynccontextmanager
async def open_edge(folder: Path, *, is_durable: bool) -> AsyncGenerator[EdgeEngine, None]:
    """The collections of a folder, which is made if need be.

    Raises VectorStoreLockedError if another process has it open.
    """
    lock = _lock(folder)
    try:
        engine = EdgeEngine(folder, is_durable=is_durable)
        try:
            await engine.open()
            yield engine
        finally:
            await engine.aclose()
    finally:
        lock.release()
