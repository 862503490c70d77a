"""Searches beside writes, every step of which happens at a moment that the test chooses."""

import random
from collections.abc import AsyncGenerator, Sequence
from itertools import count, cycle
from pathlib import Path

import pytest

from llm_api.core.rag.bm25 import Bm25, SparseVector
from llm_api.core.rag.stores import reading, writing
from llm_api.core.rag.stores.edge import open_edge
from llm_api.core.rag.stores.edge_points import EdgePoints
from llm_api.core.rag.stores.points import AllOf, Condition, Recipe, StoredPoint
from llm_api.core.rag.stores.ranking import Question
from llm_api.core.rag.vector_store import Vector
from tests.core.rag.stores.documents import EAST, MODEL, new_document

VERSIONS = [new_document("a", *[f"v{n}c{m}" for m in range(4)]) for n in range(3)]
WHOLE = [{one.chunk.text for one in version.chunks} for version in VERSIONS]


async def write_in_steps(points: EdgePoints) -> AsyncGenerator[None, None]:
    """Store the versions in turn, for ever, one step of `writing` at a time."""
    for now, new in zip(count(), cycle(VERSIONS), strict=False):
        record = (await reading.read_records(points, ["a"])).get("a")
        write = writing.plan_write(new, record, now)
        await points.upsert(list(write.points(Bm25())))
        yield
        await points.upsert([write.record()])
        yield
        if write.old is not None:
            await points.delete([*write.old.chunk_ids(), *write.old.part_ids()])
            yield


class PointsInMotion(EdgePoints):
    """Reads of `points`. So many steps of `writes` happen before each, then none any more."""

    def __init__(
        self, points: EdgePoints, writes: AsyncGenerator[None, None], steps: Sequence[int]
    ) -> None:
        self._points, self._writes, self._steps = points, writes, iter(steps)

    async def _move(self) -> None:
        for _ in range(next(self._steps, 0)):
            await anext(self._writes)

    async def retrieve(
        self, ids: Sequence[str], *, with_vectors: bool = False
    ) -> dict[str, StoredPoint]:
        await self._move()
        return await self._points.retrieve(ids, with_vectors=with_vectors)

    async def nearest(
        self, query: Vector | SparseVector, limit: int, where: Condition
    ) -> dict[str, float]:
        await self._move()
        return await self._points.nearest(query, limit, where)


@pytest.mark.parametrize("seed", range(3))
async def test_search_finds_one_whole_version_whenever_others_become_valid(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    question = Question("dense", EAST, None, 50, None)
    async with open_edge(tmp_path, is_durable=False) as engine:
        await engine.create("c", Recipe(MODEL))
        points = engine.points("c")
        writes = write_in_steps(points)
        await anext(writes)
        await anext(writes)
        for _ in range(100):
            steps = [rng.choice((0, 0, 1, 1, 2, 3, 5)) for _ in range(rng.randrange(12))]
            moving = PointsInMotion(points, writes, steps)
            hits = await reading.search(moving, question, AllOf(()), with_vectors=False)
            assert {hit.chunk.text for hit in hits} in WHOLE, steps
