"""One collection on a Qdrant server."""

from collections.abc import Iterable, Sequence
from itertools import islice

from qdrant_client import models

from llm_api.core.rag.bm25 import SparseVector
from llm_api.core.rag.stores import server_values as values
from llm_api.core.rag.stores.layout import KEYWORDS
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
from llm_api.core.rag.stores.requests import QdrantRequests
from llm_api.core.rag.vector_store import Vector

_POINTS_PER_REQUEST = 32  # their JSON is made on the event loop: 10 milliseconds


class ServerPoints:
    """The points of one collection of a server."""

    def __init__(self, server: QdrantRequests, name: str) -> None:
        self._server = server
        self._name = name

    async def upsert(self, points: Sequence[Point]) -> None:
        remaining = iter(points)
        while batch := [values.to_point(point) for point in islice(remaining, _POINTS_PER_REQUEST)]:
            await self._put(batch)

    async def _put(self, batch: list[models.PointStruct]) -> None:
        await self._server.ask(lambda client: client.upsert(self._name, batch, wait=True))

    async def delete(self, ids: Sequence[str]) -> None:
        selector = models.PointIdsList(points=list(ids))
        await self._server.ask(lambda client: client.delete(self._name, selector, wait=True))

    async def set_payload(self, ids: Sequence[str], payload: Payload) -> None:
        selector = models.PointIdsList(points=list(ids))
        await self._server.ask(
            lambda client: client.set_payload(self._name, dict(payload), selector, wait=True)
        )

    async def flush(self) -> None:
        """The server has answered each write, which it keeps."""

    async def retrieve(
        self, ids: Sequence[str], *, with_vectors: bool = False
    ) -> dict[str, StoredPoint]:
        if not ids:
            return {}
        records = await self._server.ask(
            lambda client: client.retrieve(
                self._name,
                list(ids),
                with_payload=True,
                with_vectors=[DENSE] if with_vectors else False,
            )
        )
        return {str(record.id): values.stored(record) for record in records}

    async def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        if not ids:
            return {}
        records = await self._server.ask(
            lambda client: client.retrieve(
                self._name, list(ids), with_payload=False, with_vectors=[DENSE]
            )
        )
        found = {str(record.id): values.stored(record).dense for record in records}
        return {id_: vector for id_, vector in found.items() if vector is not None}

    async def scroll(
        self, where: Condition, limit: int, start: str | None = None
    ) -> tuple[dict[str, StoredPoint], str | None]:
        records, following = await self._server.ask(
            lambda client: client.scroll(
                self._name, values.filter_of(where), limit=limit, offset=start, with_payload=True
            )
        )
        return (
            {str(record.id): values.stored(record) for record in records},
            None if following is None else str(following),
        )

    async def count(self, where: Condition) -> int:
        found = await self._server.ask(
            lambda client: client.count(self._name, values.filter_of(where), exact=True)
        )
        return found.count

    async def nearest(
        self, query: Vector | SparseVector, limit: int, where: Condition
    ) -> dict[str, float]:
        found = await self._server.ask(
            lambda client: client.query_points(
                self._name,
                values.query(query),
                using=SPARSE if isinstance(query, SparseVector) else DENSE,
                query_filter=values.filter_of(where),
                limit=limit,
                with_payload=False,
                search_params=models.SearchParams(hnsw_ef=max(SEARCH_EF, limit)),
            )
        )
        return {str(point.id): point.score for point in found.points}

    async def index_numbers(self, keys: Iterable[str]) -> None:
        known = (
            await self._server.ask(lambda client: client.get_collection(self._name))
        ).payload_schema
        room = MAX_NUMBER_INDEXES + len(KEYWORDS) - len(known)
        for key in islice((key for key in keys if key not in known), max(0, room)):
            await self._index_number(key)

    async def _index_number(self, key: str) -> None:
        schema = models.PayloadSchemaType.FLOAT
        await self._server.ask(
            lambda client: client.create_payload_index(self._name, key, schema, wait=True)
        )
