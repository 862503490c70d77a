"""One collection in the embedded engine: a folder, and the shard of Qdrant that lives in it.

New points are searched one by one until an index is built over them. That goes on beside reads and
writes: a separate process indexes a copy of the folder, which is then brought up to date with what
was written meanwhile, and takes the folder's place.

Every call of the engine blocks, mostly for less than a millisecond, a flush for 0.15 seconds. So a
process that uses this does no other work.
"""

import asyncio
import logging
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from uuid import uuid4

import qdrant_edge as qdrant
from qdrant_edge import UpdateOperation

from llm_api.core.errors import StorageFullError, VectorStoreError
from llm_api.core.rag.bm25 import SparseVector
from llm_api.core.rag.stores import edge_values as values
from llm_api.core.rag.stores.catalogue import mark_disposable
from llm_api.core.rag.stores.edge_sealing import Sealing
from llm_api.core.rag.stores.layout import CHUNKS, KEYWORDS
from llm_api.core.rag.stores.points import (
    DENSE,
    MAX_NUMBER_INDEXES,
    SEARCH_EF,
    SPARSE,
    Condition,
    Payload,
    Point,
    StoredPoint,
)
from llm_api.core.rag.stores.seal import SEAL
from llm_api.core.rag.vector_store import Vector

log = logging.getLogger(__name__)

INDEX_AFTER = 10_000
"""New chunks after which the index is built: one by one, these take about a millisecond."""

_INDEXED_KILOBYTES = 1_000
"""Vectors that are worth an index, once one is built."""

MIN_FREE_BYTES = 256 * 1024 * 1024
"""Room that must be left on the disk: the engine does not survive to find none."""

_REPLAYED_AT_ONCE = 256


class EdgePoints:
    """`shard`, which lives in `folder`. `on_move` is called when that changes, to remember it."""

    def __init__(
        self,
        shard: qdrant.EdgeShard,
        folder: Path,
        on_move: Callable[[Path], None],
        *,
        is_durable: bool,
    ) -> None:
        self.folder = folder
        self.on_move = on_move
        self._is_durable = is_durable
        self._shard = shard
        self._writing = asyncio.Lock()
        self._sealing = Sealing(folder, self._writing)
        self._touched: set[str] = set()  # while an index is built: what was written since
        self._indexing: asyncio.Task[None] | None = None
        self.unindexed = self._count_unindexed()
        self._index_at = INDEX_AFTER

    def _count_unindexed(self) -> int:
        """Chunks not in the index. Each has two vectors, of which the sparse one always is."""
        chunks = self._shard.count(qdrant.CountRequest(filter=values.filter_of(CHUNKS)))
        return max(0, 2 * chunks - self._shard.info().indexed_vectors_count)

    async def stop_indexing(self) -> None:
        """Give up an index that is being built. Idempotent."""
        if self._indexing is not None:
            self._indexing.cancel()
            await asyncio.gather(self._indexing, return_exceptions=True)

    async def stop_working(self) -> None:
        """Give up an index that is being built, and a seal. Idempotent."""
        await self.stop_indexing()
        await self._sealing.stop()

    def close(self) -> None:
        """Let go of the folder. Nothing can be done with this any more."""
        self._shard.close()

    def seal_soon(self) -> None:
        """Seal the folder once writing rests, if what is in it is to last."""
        if self._is_durable:
            self._sealing.soon()

    async def aclose(self, deadline: float) -> None:
        """The same, and seal the folder if that is done by `deadline`."""
        await self.stop_working()
        if not self._is_durable:
            self.close()
            return
        if not self._sealing.is_sealed:
            self._shard.flush()
        self.close()
        await asyncio.to_thread(self._sealing.seal_now, deadline)

    # Writing

    async def upsert(self, points: Sequence[Point]) -> None:
        _check_room(self.folder, 0)
        operation = UpdateOperation.upsert_points([values.to_point(point) for point in points])
        await self._update(operation, [point.id for point in points])
        self.unindexed += sum(point.dense is not None for point in points)

    async def delete(self, ids: Sequence[str]) -> None:
        await self._update(UpdateOperation.delete_points(list(ids)), ids)

    async def set_payload(self, ids: Sequence[str], payload: Payload) -> None:
        await self._update(UpdateOperation.set_payload(list(ids), dict(payload)), ids)

    async def _update(self, operation: UpdateOperation, ids: Iterable[str]) -> None:
        async with self._writing:
            self._sealing.before_write()
            self._shard.update(operation)
            if self._indexing is not None:
                self._touched.update(ids)

    async def flush(self) -> None:
        async with self._writing:
            if self._is_durable:
                self._shard.flush()
        self.seal_soon()
        self.index_soon()

    async def index_numbers(self, keys: Iterable[str]) -> None:
        known = self._shard.info().payload_schema
        room = MAX_NUMBER_INDEXES + len(KEYWORDS) - len(known)
        for key in islice((key for key in keys if key not in known), max(0, room)):
            async with self._writing:
                self._sealing.before_write()
                self._shard.update(_float_index(key))
        self.seal_soon()

    # Reading

    async def retrieve(
        self, ids: Sequence[str], *, with_vectors: bool = False
    ) -> dict[str, StoredPoint]:
        records = self._shard.retrieve(list(ids), True, [DENSE] if with_vectors else False)
        return {str(record.id): values.stored(record) for record in records}

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        records = self._shard.retrieve(list(ids), False, [DENSE])
        found = {str(record.id): values.stored(record).dense for record in records}
        return {id_: vector for id_, vector in found.items() if vector is not None}

    async def scroll(
        self, where: Condition, limit: int, start: str | None = None
    ) -> tuple[dict[str, StoredPoint], str | None]:
        records, following = self._shard.scroll(
            qdrant.ScrollRequest(
                offset=start, limit=limit, filter=values.filter_of(where), with_payload=True
            )
        )
        return (
            {str(record.id): values.stored(record) for record in records},
            None if following is None else str(following),
        )

    async def count(self, where: Condition) -> int:
        return self._shard.count(qdrant.CountRequest(filter=values.filter_of(where)))

    async def nearest(
        self, query: Vector | SparseVector, limit: int, where: Condition
    ) -> dict[str, float]:
        found = self._shard.query(
            qdrant.QueryRequest(
                limit=limit,
                query=values.query(query),
                filter=values.filter_of(where),
                params=qdrant.SearchParams(hnsw_ef=max(SEARCH_EF, limit)),
            )
        )
        return {str(point.id): point.score for point in found}

    # The index

    @property
    def is_indexing(self) -> bool:
        """Whether an index is being built."""
        return self._indexing is not None

    def index_soon(self) -> None:
        """Start to build the index if enough is not in it."""
        if self.unindexed >= self._index_at and self._indexing is None:
            self._indexing = asyncio.create_task(self._index())

    async def _index(self) -> None:
        """Build the index, and again if so much was written meanwhile.

        A failure is logged, and the next attempt waits until there is as much again to index.
        """
        try:
            while self.unindexed >= INDEX_AFTER:
                await self._index_once()
            self._index_at = INDEX_AFTER
        except Exception:
            self._index_at = self.unindexed + INDEX_AFTER
            log.exception("the index of %s could not be built", self.folder.name)
        finally:
            self._indexing = None
            self._touched.clear()

    async def _index_once(self) -> None:
        copy = self.folder.with_name(f"{self.folder.name.partition('.')[0]}.{uuid4().hex[:8]}")
        try:
            async with self._writing:
                self._shard.flush()
                await asyncio.to_thread(_copy, self.folder, copy)
                self._touched.clear()
                covered = self.unindexed
            await _run_indexer(copy)
            await self._adopt(copy)
            self.unindexed -= covered
        finally:
            if self.folder != copy:
                shutil.rmtree(copy, ignore_errors=True)

    async def _adopt(self, copy: Path) -> None:
        shard = load_shard(copy)
        while len(self._touched) > _REPLAYED_AT_ONCE:
            self._replay(shard)
            await asyncio.sleep(0)
        async with self._writing:
            while self._touched:
                self._replay(shard)
            for key in self._shard.info().payload_schema.keys() - shard.info().payload_schema:
                shard.update(_float_index(key))
            shard.flush()
            self._sealing.before_write()
            self.on_move(copy)
            self._sealing.folder = copy
            old, self._shard, self.folder = (self._shard, self.folder), shard, copy
        self.seal_soon()
        old[0].close()
        await asyncio.to_thread(shutil.rmtree, old[1], ignore_errors=True)

    def _replay(self, shard: qdrant.EdgeShard) -> None:
        """Bring some of what was touched into `shard` as it is now. Mutates `_touched`."""
        taken = [self._touched.pop() for _ in range(min(_REPLAYED_AT_ONCE, len(self._touched)))]
        records = self._shard.retrieve([*taken], True, True)
        gone = set(taken) - {str(record.id) for record in records}
        shard.update(UpdateOperation.delete_points([*gone]))
        points = [qdrant.Point(one.id, one.vector or {}, one.payload) for one in records]
        shard.update(UpdateOperation.upsert_points(points))


def _check_room(folder: Path, needed_bytes: int) -> None:
    if shutil.disk_usage(folder).free < MIN_FREE_BYTES + needed_bytes:
        raise StorageFullError("The disk of DATA_DIR is full.")


def _copy(folder: Path, copy: Path) -> None:
    """Copy a folder, if there is room for that and for the index to be built in it."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    _check_room(folder, 3 * size)
    copy.mkdir()
    mark_disposable(copy)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(SEAL), dirs_exist_ok=True)


def load_shard(folder: Path) -> qdrant.EdgeShard:
    """A collection that is on disk."""
    return qdrant.EdgeShard.load(str(folder))


def create_shard(folder: Path, dimension: int) -> qdrant.EdgeShard:
    """An empty collection, not flushed yet."""
    shard = qdrant.EdgeShard.create(
        str(folder),
        qdrant.EdgeConfig(
            vectors={DENSE: qdrant.EdgeVectorParams(dimension, qdrant.Distance.Cosine)},
            sparse_vectors={SPARSE: qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
            optimizers=qdrant.EdgeOptimizersConfig(indexing_threshold=_INDEXED_KILOBYTES),
        ),
    )
    for key in KEYWORDS:
        params = qdrant.KeywordIndexParams(enable_hnsw=key == "tags")
        shard.update(UpdateOperation.create_field_index(key, params))
    return shard


async def _run_indexer(folder: Path) -> None:
    """Build the index in `folder`. Cancelled, it ends the process that does it."""
    module = f"{__package__}.edge_index"
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, str(folder))
    try:
        if await process.wait():
            raise VectorStoreError(f"The indexer ended with status {process.returncode}.")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _float_index(key: str) -> UpdateOperation:
    return UpdateOperation.create_field_index(key, qdrant.PayloadSchemaType.Float)
