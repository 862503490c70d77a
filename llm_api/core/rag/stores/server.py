"""Collections on a Qdrant server, or a cluster of them, that others may use as well.

A collection of ours is an alias, its name, of a collection whose name begins with `llm-api.`. It
tells its embedding in a point of its own.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llm_api.core.errors import (
    CollectionNotFoundError,
    LLMAPIError,
    StorageFullError,
    VectorStoreError,
    VectorStoreUnavailableError,
)
from llm_api.core.rag.bm25 import SparseVector
from llm_api.core.rag.stores.layout import KEYWORDS
from llm_api.core.rag.stores.points import (
    DENSE,
    MAX_NUMBER_INDEXES,
    SEARCH_EF,
    SPARSE,
    AllOf,
    AnyOf,
    Condition,
    HasId,
    Match,
    Not,
    Payload,
    Point,
    Range,
    StoredPoint,
)
from llm_api.core.rag.vector_store import Embedding, Vector

T = TypeVar("T")

_PREFIX = "llm-api."
_EMBEDDING_ID = str(UUID(int=0))
_POINTS_PER_REQUEST = 32  # their JSON is made on the event loop: 10 milliseconds
_POLL_SECONDS = 0.2
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where the server is, and how it is to spread new collections over a cluster."""

    url: str
    api_key: str | None
    timeout_seconds: float
    shard_number: int | None
    replication_factor: int | None


class Server:
    """Requests to a server, each answered within the timeout or an error.

    Every request may be sent twice: a connection that the server has closed meanwhile is noticed
    only by using it.
    """

    def __init__(self, client: AsyncQdrantClient, options: ServerOptions) -> None:
        self.client = client
        self.options = options

    async def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Raises VectorStoreUnavailableError, CollectionNotFoundError or StorageFullError."""
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                try:
                    return await request()
                except ResponseHandlingException:
                    return await request()
        except (TimeoutError, ResponseHandlingException, ResourceExhaustedResponse) as error:
            raise VectorStoreUnavailableError("The vector store does not answer.") from error
        except UnexpectedResponse as error:
            raise _refusal(error.status_code) from error


def _refusal(status: int | None) -> LLMAPIError:
    match status:
        case 404:
            return CollectionNotFoundError("There is no such collection.", param="collection")
        case 507:
            return StorageFullError("The vector store's disk is full.")
        case 401 | 403:
            return VectorStoreError("The vector store refuses QDRANT_API_KEY.")
        case busy if busy in _BUSY:
            return VectorStoreUnavailableError(f"The vector store answers with status {status}.")
        case _:
            return VectorStoreError(f"The vector store refuses a request with status {status}.")


class ServerEngine:
    """The collections of a server. Use `open_server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.client

    async def names(self) -> tuple[str, ...]:
        return tuple(await self._aliases())

    async def embedding(self, name: str) -> Embedding:
        records = await self._server.ask(
            lambda: self._client.retrieve(name, [_EMBEDDING_ID], with_payload=True)
        )
        payload = records[0].payload if records else None
        if not payload:
            raise CollectionNotFoundError(f"There is no collection {name!r}.", param="collection")
        return Embedding(str(payload["model"]), int(payload["dimension"]))

    async def create(self, name: str, embedding: Embedding) -> None:
        real_name = await self._claim(name, embedding)
        if real_name is None:
            return
        for key in KEYWORDS:
            await self._index(real_name, key)
        payload = {"model": embedding.model, "dimension": embedding.dimension}
        point = models.PointStruct(id=_EMBEDDING_ID, vector={}, payload=payload)
        await self._server.ask(lambda: self._client.upsert(real_name, [point], wait=True))
        await self._change_aliases([_alias(name, real_name)])

    async def _claim(self, name: str, embedding: Embedding) -> str | None:
        """Make the collection, and return its real name; or wait until somebody else has.

        Of several that create a collection at once, the server lets one make that real name.
        """
        existing = await self._server.ask(self._client.get_collections)
        taken = {one.name for one in existing.collections}
        number = next(n for n in range(len(taken) + 1) if _real_name(name, n) not in taken)
        latest = _real_name(name, number - 1)
        is_unfinished = number > 0 and latest not in (await self._aliases()).values()
        if is_unfinished and await self._appears(name):
            return None
        real_name = _real_name(name, number)
        options = self._server.options
        try:
            await self._server.ask(
                lambda: self._client.create_collection(
                    real_name,
                    vectors_config={
                        DENSE: models.VectorParams(
                            size=embedding.dimension, distance=models.Distance.COSINE
                        )
                    },
                    sparse_vectors_config={
                        SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)
                    },
                    shard_number=options.shard_number,
                    replication_factor=options.replication_factor,
                    timeout=math.ceil(options.timeout_seconds),
                )
            )
        except VectorStoreError:
            if await self._appears(name):
                return None
            raise
        return real_name

    async def _appears(self, name: str) -> bool:
        """Whether somebody else makes this collection within the timeout."""
        for _ in range(round(self._server.options.timeout_seconds / _POLL_SECONDS)):
            if name in await self.names():
                return True
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _index(self, real_name: str, key: str) -> None:
        schema = models.KeywordIndexParams(
            type=models.KeywordIndexType.KEYWORD, enable_hnsw=key == "tags"
        )
        await self._server.ask(
            lambda: self._client.create_payload_index(real_name, key, schema, wait=True)
        )

    async def drop(self, name: str) -> None:
        real_name = await self._real(name)
        await self._server.ask(lambda: self._client.delete_collection(real_name))

    async def rename(self, name: str, new_name: str) -> None:
        aliases = await self._aliases()
        real_name = await self._real(name)
        if name == new_name:
            return
        changes: list[models.AliasOperations] = [_no_alias(name), _alias(new_name, real_name)]
        if (old := aliases.get(new_name)) is not None:
            changes.insert(0, _no_alias(new_name))
        await self._change_aliases(changes)
        if old is not None:
            await self._server.ask(lambda: self._client.delete_collection(old))

    def points(self, name: str) -> "ServerPoints":
        return ServerPoints(self._server, name)

    async def _aliases(self) -> dict[str, str]:
        """Real names by name, of the collections that are ours."""
        found = await self._server.ask(self._client.get_aliases)
        return {
            one.alias_name: one.collection_name
            for one in found.aliases
            if one.collection_name.startswith(_PREFIX)
        }

    async def _real(self, name: str) -> str:
        aliases = await self._aliases()
        if name not in aliases:
            raise CollectionNotFoundError(f"There is no collection {name!r}.", param="collection")
        return aliases[name]

    async def _change_aliases(self, changes: Sequence[models.AliasOperations]) -> None:
        await self._server.ask(lambda: self._client.update_collection_aliases(changes))


class ServerPoints:
    """The points of one collection of a server."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._client = server.client
        self._name = name

    async def upsert(self, points: Sequence[Point]) -> None:
        remaining = iter(points)
        while batch := [_to_point(point) for point in islice(remaining, _POINTS_PER_REQUEST)]:
            await self._put(batch)

    async def _put(self, batch: list[models.PointStruct]) -> None:
        await self._server.ask(lambda: self._client.upsert(self._name, batch, wait=True))

    async def delete(self, ids: Sequence[str]) -> None:
        selector = models.PointIdsList(points=list(ids))
        await self._server.ask(lambda: self._client.delete(self._name, selector, wait=True))

    async def set_payload(self, ids: Sequence[str], payload: Payload) -> None:
        selector = models.PointIdsList(points=list(ids))
        await self._server.ask(
            lambda: self._client.set_payload(self._name, dict(payload), selector, wait=True)
        )

    async def flush(self) -> None:
        """The server has answered each write, which it keeps."""

    async def retrieve(
        self, ids: Sequence[str], *, with_vectors: bool = False
    ) -> dict[str, StoredPoint]:
        if not ids:
            return {}
        records = await self._server.ask(
            lambda: self._client.retrieve(
                self._name,
                list(ids),
                with_payload=True,
                with_vectors=[DENSE] if with_vectors else False,
            )
        )
        return {str(record.id): _stored(record) for record in records}

    async def scroll(
        self, where: Condition, limit: int, start: str | None = None
    ) -> tuple[dict[str, StoredPoint], str | None]:
        records, following = await self._server.ask(
            lambda: self._client.scroll(
                self._name, _filter(where), limit=limit, offset=start, with_payload=True
            )
        )
        return (
            {str(record.id): _stored(record) for record in records},
            None if following is None else str(following),
        )

    async def count(self, where: Condition) -> int:
        found = await self._server.ask(
            lambda: self._client.count(self._name, _filter(where), exact=True)
        )
        return found.count

    async def nearest(
        self, query: Vector | SparseVector, limit: int, where: Condition
    ) -> dict[str, float]:
        is_sparse = isinstance(query, SparseVector)
        found = await self._server.ask(
            lambda: self._client.query_points(
                self._name,
                _sparse(query) if isinstance(query, SparseVector) else query.tolist(),
                using=SPARSE if is_sparse else DENSE,
                query_filter=_filter(where),
                limit=limit,
                with_payload=False,
                search_params=models.SearchParams(hnsw_ef=max(SEARCH_EF, limit)),
            )
        )
        return {str(point.id): point.score for point in found.points}

    async def index_numbers(self, keys: Iterable[str]) -> None:
        known = (
            await self._server.ask(lambda: self._client.get_collection(self._name))
        ).payload_schema
        room = MAX_NUMBER_INDEXES + len(KEYWORDS) - len(known)
        for key in islice((key for key in keys if key not in known), max(0, room)):
            await self._index_number(key)

    async def _index_number(self, key: str) -> None:
        schema = models.PayloadSchemaType.FLOAT
        await self._server.ask(
            lambda: self._client.create_payload_index(self._name, key, schema, wait=True)
        )


@asynccontextmanager
async def open_server(options: ServerOptions) -> AsyncGenerator[ServerEngine, None]:
    """The collections of a server, which need not answer yet."""
    client = AsyncQdrantClient(
        url=options.url,
        port=None,
        api_key=options.api_key,
        timeout=math.ceil(options.timeout_seconds),
        check_compatibility=False,  # it would ask the server, which may be down
    )
    try:
        yield ServerEngine(Server(client, options))
    finally:
        await client.close()


def _real_name(name: str, number: int) -> str:
    return f"{_PREFIX}{name}.{number}"


def _alias(name: str, real_name: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(
        create_alias=models.CreateAlias(collection_name=real_name, alias_name=name)
    )


def _no_alias(name: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))


def _to_point(point: Point) -> models.PointStruct:
    vectors: dict[str, Any] = {}
    if point.dense is not None:
        vectors[DENSE] = point.dense.tolist()
    if point.sparse is not None:
        vectors[SPARSE] = _sparse(point.sparse)
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def _stored(record: models.Record) -> StoredPoint:
    vector = record.vector.get(DENSE) if isinstance(record.vector, dict) else None
    return StoredPoint(
        record.payload or {}, None if vector is None else np.asarray(vector, np.float32)
    )


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def _filter(condition: Condition) -> models.Filter:
    match condition:
        case Match(key, values):
            match = models.MatchAny(any=list(values))
            return models.Filter(must=[models.FieldCondition(key=key, match=match)])
        case Range(key, gt, gte, lt, lte):
            bounds = models.Range(gt=gt, gte=gte, lt=lt, lte=lte)
            return models.Filter(must=[models.FieldCondition(key=key, range=bounds)])
        case HasId(ids):
            return models.Filter(must=[models.HasIdCondition(has_id=list(ids))])
        case AllOf(conditions):
            return models.Filter(must=[_filter(part) for part in conditions])
        case AnyOf(conditions):
            return models.Filter(should=[_filter(part) for part in conditions])
        case Not(part):
            return models.Filter(must_not=[_filter(part)])
