"""The way of one caller to vector stores: through its own retrieval, so with its rights alone."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    PermissionDeniedError,
    VectorStoreExpiredError,
    VectorStoreNotFoundError,
)
from llm_api.core.files.files import OwnedFiles
from llm_api.core.rag.matching import matches
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.vector_store import Collection, DocumentRecord, VectorStore
from llm_api.core.state.state import State
from llm_api.core.state.store_records import StoreFacts, StoreFile
from llm_api.core.vector_stores.views import document_metadata

if TYPE_CHECKING:
    from llm_api.core.state.opened import StoreRows

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """`files` are the caller's own, as is what it attaches, under the name `owner`."""

    retrieval: Retrieval
    state: State
    files: OwnedFiles
    owner: str
    now: Callable[[], float] = time.time

    async def rows(self) -> "StoreRows":
        return await self.state.vector_stores()

    async def collection(self, id: str) -> Collection:
        """Raises VectorStoreNotFoundError, for one that this caller may not see as well."""
        try:
            return await self.retrieval.store.describe_collection(id)
        except CollectionNotFoundError as error:
            raise not_found(id) from error

    async def facts(self, id: str) -> StoreFacts | None:
        """What is known of a store, the last search in this process included."""
        facts = await (await self.rows()).stores.get(id)
        if facts is None or facts.expired_at is not None:
            return facts
        searched_at = self.retrieval.times.searched.get(id, 0.0)
        return replace(facts, last_active_at=max(facts.last_active_at, searched_at))

    def is_expired(self, facts: StoreFacts | None) -> bool:
        if facts is None:
            return False
        ends_at = facts.expires_at
        return facts.expired_at is not None or (ends_at is not None and ends_at <= self.now())

    async def forget(self, id: str) -> None:
        """Forget what was said of a collection that is gone: another may get its name."""
        if self.state.may_hold_something:
            await (await self.rows()).stores.forget(id)

    def may_see(self, file: StoreFile) -> bool:
        """Whether a file that has no document (yet) is the caller's, or will be seen by it."""
        rights = self.retrieval.rights
        metadata = document_metadata(file.filename, json.loads(file.attributes))
        is_own = not rights.are_filtered or file.owner == self.owner
        return is_own or matches(rights.filter, metadata)

    def require_write(self, id: str) -> None:
        """Raises PermissionDeniedError."""
        self.retrieval.rights.require_write(id)

    def require_whole(self, id: str) -> None:
        """Raises PermissionDeniedError for who may not change all documents of a store."""
        self.require_write(id)
        if self.retrieval.rights.are_filtered:
            raise PermissionDeniedError(
                "This API key has a filter, and may not change a store that may hold documents of"
                " others.",
                param="vector_store_id",
            )

    async def check(self, ids: Sequence[str]) -> None:
        """Raises VectorStoreNotFoundError, or VectorStoreExpiredError, for the first such one."""
        for id in ids:
            await self.collection(id)
            if self.is_expired(await self.facts(id)):
                raise VectorStoreExpiredError(
                    f"Vector store '{id}' has expired: its files are gone; create another one.",
                    param="vector_store_id",
                )


def not_found(id: str) -> VectorStoreNotFoundError:
    return VectorStoreNotFoundError(
        f"Vector store with id '{id}' not found.", param="vector_store_id"
    )


async def record_of(store: VectorStore, id: str, document_id: str) -> DocumentRecord | None:
    """None where there is no such document, or no such collection."""
    with suppress(DocumentNotFoundError, CollectionNotFoundError):
        return await store.get_document(id, document_id)
    return None


async def stored_of(store: VectorStore, id: str, document_ids: Sequence[str]) -> frozenset[str]:
    """Which of these documents are there. None in a collection that is not."""
    there: set[str] = set()
    with suppress(CollectionNotFoundError):
        for start in range(0, len(document_ids), _AT_ONCE):
            some = document_ids[start : start + _AT_ONCE]
            there.update(await store.get_documents(id, some))
    return frozenset(there)
