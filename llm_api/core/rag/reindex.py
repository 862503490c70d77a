"""A collection embedded anew by another model, while the old one is searched until the end.

    old   ██████████████ searched ██████████████│
    new      copy 1 ─► copy 2 ─► ... nothing new│ renamed: takes the old one's name in one step

A copy takes over what was stored since the one before began. A document stored in the instant
between the last copy and the renaming is lost: a client that writes meanwhile should write again.
"""

from collections.abc import AsyncGenerator, Collection
from contextlib import suppress
from typing import Final

from llm_api.core.errors import CollectionNotFoundError, DocumentNotFoundError, VectorStoreError
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import VectorStore, every_document

MAX_COPIES: Final = 10


async def reindex(retrieval: Retrieval, collection: str, report: Report) -> None:
    """Embed every document of the collection with the embedder of `retrieval`.

    A copy that broke off is gone on with. Nothing takes the old one's place where a document could
    not be embedded. Raises VectorStoreError then, and what ingests and stores raise.
    """
    store = retrieval.store
    await store.describe_collection(collection)
    fresh = f"{collection[:60]}-new"
    failures: list[DocumentOutcome] = []

    def note(outcome: DocumentOutcome) -> None:
        if outcome.what == "failed":
            failures.append(outcome)
        report(outcome)

    copied: dict[str, float] = {}
    for _ in range(MAX_COPIES):
        changed = await _changed(store, collection, copied)
        if not changed:
            break
        await retrieval.ingest(fresh, _read(store, collection, changed), note)
        if failures:
            first = failures[0]
            raise VectorStoreError(
                f"{len(failures)} documents could not be embedded, the first {first.document_id}:"
                f" {first.reason} {collection!r} stays as it was; {fresh!r} holds the others."
            )
    await _delete_what_is_gone(store, fresh, copied.keys())
    await store.rename_collection(fresh, collection)


async def _changed(store: VectorStore, collection: str, copied: dict[str, float]) -> list[str]:
    """Documents that were not copied as they are now. Brings `copied` up to date."""
    now = {record.id: record.stored_at async for record in every_document(store, collection)}
    changed = [id for id, stored_at in now.items() if copied.get(id) != stored_at]
    copied.clear()
    copied.update(now)
    return changed


async def _read(
    store: VectorStore, collection: str, ids: Collection[str]
) -> AsyncGenerator[Document, None]:
    for document_id in ids:
        with suppress(DocumentNotFoundError):  # deleted meanwhile
            yield await store.read_document(collection, document_id)


async def _delete_what_is_gone(store: VectorStore, fresh: str, wanted: Collection[str]) -> None:
    with suppress(CollectionNotFoundError):  # there was nothing to copy
        gone = [one.id async for one in every_document(store, fresh) if one.id not in wanted]
        await store.delete_documents(fresh, gone)
