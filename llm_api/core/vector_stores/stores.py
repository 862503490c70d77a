"""Vector stores of one caller: every collection that it may see is one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from uuid import uuid4

from llm_api.core.rag.embed_documents import embedding_of
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.vector_store import Hit
from llm_api.core.state.records import Page
from llm_api.core.state.store_records import StoreFacts
from llm_api.core.vector_stores.access import StoreAccess
from llm_api.core.vector_stores.counting import counts_of, vector_bytes
from llm_api.core.vector_stores.paging import StoreWindow, window_of
from llm_api.core.vector_stores.views import StoreChange, StoreDescription, StoreView


@dataclass(frozen=True, slots=True)
class VectorStores:
    """Every method raises VectorStoreNotFoundError for an `id` of none."""

    access: StoreAccess
    new_id: Callable[[], str] = lambda: f"vs_{uuid4().hex}"

    async def create(self, told: StoreDescription, expires_days: int | None = None) -> StoreView:
        """An empty store, in a collection of its own."""
        id, now = self.new_id(), self.access.now()
        rows = (await self.access.rows()).stores
        await rows.put(StoreFacts(id, now, now, told.to_json(), expires_days))
        retrieval = self.access.retrieval
        try:
            embedding = await embedding_of(retrieval.embedder)
            await retrieval.store.create_collection(id, embedding)
        except BaseException:
            await rows.forget(id)
            raise
        return await self.get(id)

    async def get(self, id: str) -> StoreView:
        collection, counts = await counts_of(self.access, id)
        facts = await self.access.facts(id)
        return StoreView(
            id=id,
            told=StoreDescription() if facts is None else StoreDescription.from_json(facts.body),
            created_at=None if facts is None else facts.created_at,
            last_active_at=None if facts is None else facts.last_active_at,
            expires_days=None if facts is None else facts.expires_days,
            expires_at=None if facts is None else facts.expires_at,
            is_expired=self.access.is_expired(facts),
            counts=counts,
            usage_bytes=vector_bytes(collection, collection.chunks),
        )

    async def page(self, window: StoreWindow) -> Page[StoreView]:
        """Raises InvalidRequestError for an unknown cursor."""
        known = await (await self.access.rows()).stores.all()
        collections = await self.access.retrieval.store.list_collections()
        page = window_of(
            [one.name for one in collections], lambda name: (_made_at(known, name), name), window
        )
        views = await asyncio.gather(*map(self.get, page.entries))
        return Page(views, page.has_more)

    async def update(self, id: str, change: StoreChange) -> StoreView:
        """Raises PermissionDeniedError as well."""
        await self.access.collection(id)
        self.access.require_whole(id)
        now = self.access.now()
        facts = await self.access.facts(id)
        facts = facts or StoreFacts(id, now, now, StoreDescription(name=id).to_json())
        told = StoreDescription.from_json(facts.body)
        if change.name is not None:
            told = replace(told, name=change.name)
        if change.metadata is not None:
            told = replace(told, metadata=change.metadata)
        facts = replace(facts, body=told.to_json(), last_active_at=now)
        if change.sets_expiry:
            facts = replace(facts, expires_days=change.expires_days)
        await (await self.access.rows()).stores.put(facts)
        return await self.get(id)

    async def delete(self, id: str) -> None:
        """With its documents. The files stay. Raises PermissionDeniedError as well."""
        await self.access.collection(id)
        await self.access.retrieval.store.delete_collection(id)
        await self.access.forget(id)

    async def search(self, questions: Sequence[str], options: SearchOptions) -> Sequence[Hit]:
        """The best chunks for any of the questions.

        Raises as `Retriever.search`, and VectorStoreExpiredError.
        """
        await self.access.check([options.collection])
        search = self.access.retrieval.retriever.search
        found: dict[str, Hit] = {}
        for hits in await asyncio.gather(*(search(one, options) for one in questions)):
            for hit in hits:
                earlier = found.get(hit.chunk.id)
                if earlier is None or earlier.score < hit.score:
                    found[hit.chunk.id] = hit
        return sorted(found.values(), key=attrgetter("score"), reverse=True)[: options.top_k]


def _made_at(known: Mapping[str, StoreFacts], name: str) -> float:
    """When a store was made; the oldest are those of which nobody knows."""
    return known[name].created_at if name in known else 0.0
