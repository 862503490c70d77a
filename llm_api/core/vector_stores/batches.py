"""Files that are attached to a vector store together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from llm_api.core.errors import FileBatchNotFoundError
from llm_api.core.state.records import Page
from llm_api.core.state.store_records import FileBatch, FileStatus
from llm_api.core.vector_stores.access import StoreAccess
from llm_api.core.vector_stores.attaching import attach
from llm_api.core.vector_stores.paging import StoreWindow
from llm_api.core.vector_stores.store_files import StoreFiles
from llm_api.core.vector_stores.views import (
    BatchStatus,
    BatchView,
    NewStoreFile,
    StoreFileView,
    counted,
)


@dataclass(frozen=True, slots=True)
class FileBatches:
    """A week after it was made, a batch is forgotten; its files stay.

    Every method raises VectorStoreNotFoundError, and those about one batch FileBatchNotFoundError.
    """

    access: StoreAccess
    new_id: Callable[[], str] = lambda: f"vsfb_{uuid4().hex}"

    async def create(self, id: str, files: Sequence[NewStoreFile]) -> BatchView:
        """All of them are attached, or none. Raises as `attaching.attach`."""
        ids = list(dict.fromkeys(one.file_id for one in files))
        batch = FileBatch(self.new_id(), id, self.access.now(), ids)
        await attach(self.access, id, files, batch)
        return await self._view(batch)

    async def get(self, id: str, batch_id: str) -> BatchView:
        return await self._view(await self._batch(id, batch_id))

    async def cancel(self, id: str, batch_id: str) -> BatchView:
        """What has not begun is cancelled. What is completed by then stays in the store.

        Raises PermissionDeniedError as well.
        """
        batch = await self._batch(id, batch_id)
        self.access.require_write(id)
        await (await self.access.rows()).files.cancel(batch)
        return await self._view(replace(batch, is_cancelled=True))

    async def files(
        self, id: str, batch_id: str, window: StoreWindow, status: FileStatus | None = None
    ) -> Page[StoreFileView]:
        """As `StoreFiles.page`."""
        batch = await self._batch(id, batch_id)
        return await StoreFiles(self.access).some(id, batch.file_ids, window, status)

    async def _batch(self, id: str, batch_id: str) -> FileBatch:
        await self.access.collection(id)
        batch = await (await self.access.rows()).files.batch(id, batch_id)
        if batch is None:
            raise FileBatchNotFoundError(
                f"No file batch found with id '{batch_id}' in vector store '{id}'; those that"
                " ended long ago are forgotten.",
                param="batch_id",
            )
        return batch

    async def _view(self, batch: FileBatch) -> BatchView:
        rows = await (await self.access.rows()).files.of_store(batch.store_id, batch.file_ids)
        counts = counted([one.status for one in rows if self.access.may_see(one)])
        if batch.is_cancelled:
            return BatchView(batch.id, batch.store_id, batch.created_at, "cancelled", counts)
        status: BatchStatus = "in_progress" if counts.in_progress else "completed"
        return BatchView(batch.id, batch.store_id, batch.created_at, status, counts)
