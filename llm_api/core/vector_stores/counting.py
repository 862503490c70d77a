"""How many files a store has, exactly: its documents, and what is on its way or came to nothing.

A file may be both for a moment: its document is written before its row says so.
"""

from dataclasses import replace
from typing import Final

from llm_api.core.rag.vector_store import Collection
from llm_api.core.vector_stores.access import StoreAccess, stored_of
from llm_api.core.vector_stores.views import FileCounts, counted

LOOKS: Final = 4
_BYTES: Final = 4  # of one number of a vector


async def counts_of(access: StoreAccess, id: str) -> tuple[Collection, FileCounts]:
    """The collection, and its files. Raises VectorStoreNotFoundError.

    Looks again where documents came in between.
    """
    rows, store = (await access.rows()).files, access.retrieval.store
    looks = LOOKS
    while True:
        looks -= 1
        others = [one for one in await rows.unsettled(id) if access.may_see(one)]
        doubtful = [one.file_id for one in others if one.may_be_stored]
        before = await stored_of(store, id, doubtful)
        collection = await access.collection(id)
        if before == await stored_of(store, id, doubtful) or not looks:
            break
    counts = counted([one.status for one in others])
    documents = (collection.documents or 0) - len(before)
    return collection, replace(counts, completed=max(documents, 0))


def vector_bytes(collection: Collection, chunks: int | None) -> int:
    """What so many vectors of a collection take. Pure."""
    return (chunks or 0) * collection.embedding.dimension * _BYTES
