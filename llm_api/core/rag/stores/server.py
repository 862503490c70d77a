"""Collections on a Qdrant server, or a cluster of them, that others may use as well.

A collection of ours is an alias, its name, of a collection whose name begins with `llm-api.`. It
tells in a separate point by what it was made.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar
from uuid import UUID

from qdrant_client import AsyncQdrantClient, models

from llm_api.core.errors import (
    CollectionNotFoundError,
    VectorStoreError,
)
from llm_api.core.rag.stores.layout import KEYWORDS
from llm_api.core.rag.stores.points import (
    DENSE,
    SPARSE,
    Recipe,
)
from llm_api.core.rag.stores.requests import QdrantRequests, ServerOptions
from llm_api.core.rag.stores.server_points import ServerPoints
from llm_api.core.rag.vector_store import FIRST_RULE, EmbeddingModel

T = TypeVar("T")

_PREFIX = "llm-api."
_RECIPE_ID = str(UUID(int=0))
_POLL_SECONDS = 0.2


class ServerEngine:
    """The collections of a server. Use `open_server`."""

    def __init__(self, server: QdrantRequests) -> None:
        self._server = server

    async def names(self) -> tuple[str, ...]:
        return tuple(await self._aliases())

    async def recipe(self, name: str) -> Recipe:
        records: list[models.Record] = []
        with suppress(CollectionNotFoundError):  # which does not say of what name
            records = await self._server.ask(
                lambda client: client.retrieve(name, [_RECIPE_ID], with_payload=True)
            )
        payload = records[0].payload if records else None
        if not payload:
            raise CollectionNotFoundError(f"There is no collection {name!r}.", param="collection")
        embedding = EmbeddingModel(str(payload["model"]), int(payload["dimension"]))
        return Recipe(embedding, int(payload.get("words", FIRST_RULE)))

    async def damage(self, name: str) -> str | None:
        """The server sees to its own files."""
        return None

    async def create(self, name: str, recipe: Recipe) -> None:
        embedding = recipe.embedding
        real_name = await self._claim(name, embedding)
        if real_name is None:
            return
        for key in KEYWORDS:
            await self._index(real_name, key)
        payload = {
            "model": embedding.model,
            "dimension": embedding.dimension,
            "words": recipe.words,
        }
        point = models.PointStruct(id=_RECIPE_ID, vector={}, payload=payload)
        await self._server.ask(lambda client: client.upsert(real_name, [point], wait=True))
        await self._change_aliases([_alias(name, real_name)])

    async def _claim(self, name: str, embedding: EmbeddingModel) -> str | None:
        """Make the collection, and return its real name; or wait until somebody else has.

        Of several that create a collection at once, the server lets one make that real name.
        """
        existing = await self._server.ask(lambda client: client.get_collections())
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
                lambda client: client.create_collection(
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
            lambda client: client.create_payload_index(real_name, key, schema, wait=True)
        )

    async def drop(self, name: str) -> None:
        real_name = await self._real(name)
        await self._server.ask(lambda client: client.delete_collection(real_name))

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
            await self._server.ask(lambda client: client.delete_collection(old))

    def points(self, name: str) -> ServerPoints:
        return ServerPoints(self._server, name)

    async def _aliases(self) -> dict[str, str]:
        """Real names by name, of the collections that are ours."""
        found = await self._server.ask(lambda client: client.get_aliases())
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
        await self._server.ask(lambda client: client.update_collection_aliases(changes))


@asynccontextmanager
async def open_server(options: ServerOptions) -> AsyncGenerator[ServerEngine, None]:
    """The collections of a server, which need not answer yet."""
    async with AsyncExitStack() as stack:
        clients = [_client(url, options) for url in options.urls]
        for client in clients:
            stack.push_async_callback(client.close)
        yield ServerEngine(QdrantRequests(clients, options))


def _client(url: str, options: ServerOptions) -> AsyncQdrantClient:
    return AsyncQdrantClient(
        url=url,
        port=None,
        api_key=options.api_key,
        timeout=math.ceil(options.timeout_seconds),
        check_compatibility=False,  # it would ask the server, which may be down
    )


def _real_name(name: str, number: int) -> str:
    return f"{_PREFIX}{name}.{number}"


def _alias(name: str, real_name: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(
        create_alias=models.CreateAlias(collection_name=real_name, alias_name=name)
    )


def _no_alias(name: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))
