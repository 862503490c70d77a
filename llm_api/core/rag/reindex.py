"""A collection embedded anew by another model, while the old one is searched until the end.

    old   ██████████████ searched ██████████████│
    new      copy 1 ─► copy 2 ─► ... nothing new│ renamed: takes the old one's name in one step

A copy takes over what was stored since the one before began. A document stored in the instant
between the last copy and the renaming is lost: a client that writes meanwhile should write again.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress
from typing import Final

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    LLMAPIError,
    VectorStoreError,
)
from llm_api.core.rag.embed_documents import embedding_of
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import NEWEST_RULE, VectorStore, every_document
from llm_api.core.utils.long_work import to_the_end

MAX_COPIES: Final = 10


async def is_renewed(retrieval: Retrieval, collection: str) -> bool:
    """Whether it has the vectors of this embedder already, and its words by the newest rule."""
    described = await retrieval.store.describe_collection(collection)
    embedding = await embedding_of(retrieval.embedder)
    return described.embedding == embedding and described.word_rule == NEWEST_RULE


async def reindex(
    retrieval: Retrieval, collection: str, report: Report, *, keeps_copy: bool = False
) -> None:
    """Embed every document of the collection with the embedder of `retrieval`.

    A copy that a dead process left is gone on with; cancelled, this one is deleted, unless the
    caller `keeps_copy`. Nothing takes the old one's place where a document could not be embedded.
    Raises VectorStoreError then, and what ingests and stores raise.
    """
    store = retrieval.store
    await store.describe_collection(collection)
    fresh = copy_name(collection)
    try:
        await _copy(retrieval, collection, fresh, report)
    except asyncio.CancelledError:
        await to_the_end(_tidy(store, fresh, only_empty=keeps_copy))
        raise
    except LLMAPIError:
        await _tidy(store, fresh, only_empty=True)
        raise


def copy_name(collection: str) -> str:
    """The collection that is filled meanwhile."""
    return f"{collection[:60]}-new"


async def _tidy(store: VectorStore, fresh: str, *, only_empty: bool) -> None:
    """Delete the copy. Where the store itself fails, the next run finds it."""
    with suppress(LLMAPIError):
        if not only_empty or (await store.describe_collection(fresh)).documents == 0:
            await store.delete_collection(fresh)


async def _copy(retrieval: Retrieval, collection: str, fresh: str, report: Report) -> None:
    store = retrieval.store
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
