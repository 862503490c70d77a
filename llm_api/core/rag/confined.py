"""A vector store as somebody with limited rights sees it: the rest does not exist.

    what is asked of          not readable   readable, not writable   writable
    a collection to be read   404            its visible documents    its visible documents
    one to be changed         404            403                      its visible documents
    one to be made, or
    to be ingested into       403            403                      documents that stay visible

A visible document matches the filter of the rights. So a collection is counted, searched, listed,
changed and emptied by a filter joined to what was asked for; it is deleted or renamed as a whole
only by who sees all of it. A document cannot be changed so that it leaves what is seen; an id that
a document has which is not seen is refused, and not overwritten.

Does not cover: that this refusal tells that an id is taken; that the scores of words (BM25) follow
how rare these are in the whole collection; how long an answer takes; a document that two servers
of one Qdrant change at the same moment. Teams that must not learn even that have a collection each.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    PermissionDeniedError,
)
from llm_api.core.rag.filters import EVERYTHING, And, Filter
from llm_api.core.rag.matching import matches
from llm_api.core.rag.rights import DocumentRights
from llm_api.core.rag.types import Document, Metadata
from llm_api.core.rag.vector_store import (
    Collection,
    DocumentPage,
    DocumentRecord,
    EmbeddingModel,
    Hit,
    NewDocument,
    SearchQuery,
    TunedSearch,
    VectorStore,
    Written,
)


class ConfinedStore:
    """As much of `store` as `rights` permit; a `VectorStore` itself."""

    def __init__(self, store: VectorStore, rights: DocumentRights) -> None:
        self._store = store
        self._rights = rights

    async def create_collection(self, name: str, embedding: EmbeddingModel) -> None:
        self._rights.require_write(name)
        await self._store.create_collection(name, embedding)

    async def describe_collection(self, name: str, within: Filter = EVERYTHING) -> Collection:
        self._rights.require_read(name)
        return await self._store.describe_collection(name, self._joined(within))

    async def list_collections(self) -> tuple[Collection, ...]:
        there = await self._store.list_collections()
        readable = [one for one in there if self._rights.may_read(one.name)]
        if not self._rights.are_filtered:
            return tuple(readable)
        described = []
        for one in readable:
            with suppress(CollectionNotFoundError):  # deleted meanwhile
                described.append(await self.describe_collection(one.name))
        return tuple(described)

    async def read_tuning(self, collection: str) -> TunedSearch | None:
        self._rights.require_read(collection)
        return await self._store.read_tuning(collection)

    async def write_tuning(self, collection: str, tuned: TunedSearch | None) -> None:
        self._rights.require_choice(collection)
        await self._store.write_tuning(collection, tuned)

    async def delete_collection(self, name: str) -> None:
        self._require_whole(name)
        await self._store.delete_collection(name)

    async def rename_collection(self, name: str, new_name: str) -> None:
        self._require_whole(name)
        self._rights.require_write(new_name)
        await self._store.rename_collection(name, new_name)

    async def replace_documents(
        self,
        collection: str,
        model: str,
        documents: Sequence[NewDocument],
        within: Filter = EVERYTHING,
    ) -> tuple[Written, ...]:
        self._rights.require_write(collection)
        admitted = [replace(one, document=self._rights.admitted(one.document)) for one in documents]
        return await self._store.replace_documents(
            collection, model, admitted, self._joined(within)
        )

    async def delete_documents(
        self, collection: str, ids: Sequence[str], within: Filter = EVERYTHING
    ) -> int:
        self._require_change(collection)
        return await self._store.delete_documents(collection, ids, self._joined(within))

    async def delete_matching(self, collection: str, filter: Filter) -> int:
        self._require_change(collection)
        return await self._store.delete_matching(collection, self._joined(filter))

    async def get_document(self, collection: str, document_id: str) -> DocumentRecord:
        self._rights.require_read(collection)
        record = await self._store.get_document(collection, document_id)
        self._require_visible(document_id, record.metadata)
        return record

    async def get_documents(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, DocumentRecord]:
        self._rights.require_read(collection)
        found = await self._store.get_documents(collection, ids)
        return {id_: one for id_, one in found.items() if self._is_visible(one.metadata)}

    async def read_document(self, collection: str, document_id: str) -> Document:
        self._rights.require_read(collection)
        document = await self._store.read_document(collection, document_id)
        self._require_visible(document_id, document.metadata)
        return document

    async def list_documents(
        self, collection: str, filter: Filter, cursor: str | None, limit: int
    ) -> DocumentPage:
        self._rights.require_read(collection)
        return await self._store.list_documents(collection, self._joined(filter), cursor, limit)

    async def update_metadata(
        self,
        collection: str,
        document_id: str,
        metadata: Metadata,
        title: str | None = None,
        within: Filter = EVERYTHING,
    ) -> DocumentRecord:
        self._require_change(collection)
        marked = self._rights.marked(metadata)
        return await self._store.update_metadata(
            collection, document_id, marked, title, self._joined(within)
        )

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        self._rights.require_read(collection)
        joined = replace(query, filter=self._joined(query.filter))
        hits = await self._store.search(collection, joined)
        # A document that changes at this moment may have been found by what it was before.
        return tuple(hit for hit in hits if matches(self._rights.filter, hit.metadata))

    def _joined(self, filter: Filter) -> Filter:
        if not self._rights.are_filtered:
            return filter
        mine = self._rights.filter
        return mine if filter == EVERYTHING else And((mine, filter))

    def _require_change(self, collection: str) -> None:
        self._rights.require_read(collection)
        self._rights.require_write(collection)

    def _require_whole(self, collection: str) -> None:
        self._require_change(collection)
        if self._rights.are_filtered:
            raise PermissionDeniedError(
                "This API key has a filter, and may not delete a collection that may hold documents"
                " of others: delete the documents instead.",
                param="collection",
            )

    def _require_visible(self, document_id: str, metadata: Metadata) -> None:
        if not self._is_visible(metadata):
            raise DocumentNotFoundError(f"There is no document {document_id!r}.")

    def _is_visible(self, metadata: Metadata) -> bool:
        return matches(self._rights.filter, metadata)
