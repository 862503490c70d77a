"""The embedded engine: collections in a folder that one process at a time may open.

    <folder>/lock               held while it is open
    <folder>/collections.json   name -> subfolder and embedding; replaced whole, never changed
    <folder>/<subfolder>/       a shard of Qdrant

A subfolder that collections.json does not name is what a crash left, and is removed.
"""

import logging
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout
from pydantic import TypeAdapter
from qdrant_edge import EdgeShard

from llm_api.core.errors import CollectionNotFoundError, VectorStoreLockedError
from llm_api.core.rag.stores.edge_points import EdgePoints, create_shard, load_shard
from llm_api.core.rag.stores.points import Recipe
from llm_api.core.rag.vector_store import FIRST_RULE, Embedding

log = logging.getLogger(__name__)

LOCK_SECONDS = 5.0
"""How long to wait for another process to go: that of a server just killed needs a moment."""


@dataclass(frozen=True, slots=True)
class _Entry:
    subfolder: str
    embedding: Embedding
    words: int = FIRST_RULE

    @property
    def recipe(self) -> Recipe:
        return Recipe(self.embedding, self.words)


_MANIFEST = TypeAdapter(dict[str, _Entry])


class EdgeEngine:
    """The collections of `folder`, which nobody else has open. Use `open_edge`."""

    def __init__(self, folder: Path, *, is_durable: bool) -> None:
        self._folder = folder
        self._is_durable = is_durable
        self._manifest = folder / "collections.json"
        self._entries = self._read_manifest()
        self._remove_strays()
        self._points = {name: self._load(name) for name in self._entries}

    async def aclose(self) -> None:
        for points in self._points.values():
            await points.stop_indexing()
            points.close()

    async def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    async def recipe(self, name: str) -> Recipe:
        return self._entry(name).recipe

    async def create(self, name: str, recipe: Recipe) -> None:
        subfolder = f"{uuid4().hex}.0"
        shard = create_shard(self._folder / subfolder, recipe.embedding.dimension)
        if self._is_durable:
            shard.flush()
        entry = _Entry(subfolder, recipe.embedding, recipe.words)
        self._write_manifest(self._entries | {name: entry})
        self._points[name] = self._opened(name, shard)

    async def drop(self, name: str) -> None:
        entry = self._entry(name)
        self._write_manifest({key: one for key, one in self._entries.items() if key != name})
        await self._forget(self._points.pop(name), entry)

    async def rename(self, name: str, new_name: str) -> None:
        entry, replaced = self._entry(name), self._entries.get(new_name)
        if name == new_name:
            return
        others = {key: one for key, one in self._entries.items() if key != name}
        self._write_manifest(others | {new_name: entry})
        old = self._points.pop(new_name, None)
        self._points[new_name] = self._points.pop(name)
        self._points[new_name].on_move = partial(self._moved, new_name)
        if old is not None and replaced is not None:
            await self._forget(old, replaced)

    def points(self, name: str) -> EdgePoints:
        self._entry(name)
        return self._points[name]

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise CollectionNotFoundError(f"There is no collection {name!r}.", param="collection")
        return self._entries[name]

    def _load(self, name: str) -> EdgePoints:
        return self._opened(name, load_shard(self._folder / self._entries[name].subfolder))

    def _opened(self, name: str, shard: EdgeShard) -> EdgePoints:
        folder = self._folder / self._entries[name].subfolder
        return EdgePoints(shard, folder, partial(self._moved, name), is_durable=self._is_durable)

    def _moved(self, name: str, folder: Path) -> None:
        moved = replace(self._entries[name], subfolder=folder.name)
        self._write_manifest(self._entries | {name: moved})

    async def _forget(self, points: EdgePoints, entry: _Entry) -> None:
        """Its folder goes now, the rest with the last search that is still at it."""
        await points.stop_indexing()
        shutil.rmtree(self._folder / entry.subfolder, ignore_errors=True)

    def _read_manifest(self) -> dict[str, _Entry]:
        if not self._manifest.exists():
            return {}
        return _MANIFEST.validate_json(self._manifest.read_bytes())

    def _write_manifest(self, entries: dict[str, _Entry]) -> None:
        """Durable, and whole or not at all. Mutates `_entries`."""
        new = self._manifest.with_suffix(".new")
        with new.open("wb") as file:
            file.write(_MANIFEST.dump_json(entries, indent=2))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._manifest)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._entries = entries

    def _remove_strays(self) -> None:
        named = {entry.subfolder for entry in self._entries.values()}
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in named:
                shutil.rmtree(path, ignore_errors=True)


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
            yield engine
        finally:
            await engine.aclose()
    finally:
        lock.release()
