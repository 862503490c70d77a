"""All documents of a collection, page by page."""

from collections.abc import AsyncGenerator

from llm_api.core.rag.filters import EVERYTHING
from llm_api.core.rag.vector_store import DocumentRecord, VectorStore

PAGE = 1000


async def every_document(
    store: VectorStore, collection: str
) -> AsyncGenerator[DocumentRecord, None]:
    """Raises as `VectorStore.list_documents`."""
    cursor: str | None = None
    while True:
        page = await store.list_documents(collection, EVERYTHING, cursor, PAGE)
        for record in page.documents:
            yield record
        if (cursor := page.next_cursor) is None:
            return
