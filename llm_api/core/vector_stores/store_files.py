"""The files of a vector store: its documents, and those on their way or that came to nothing."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    FileNotInStoreError,
    PermissionDeniedError,
)
from llm_api.core.rag.vector_store import Collection, DocumentRecord, every_document
from llm_api.core.state.records import Page
from llm_api.core.state.store_records import FileStatus, StoreFile
from llm_api.core.vector_stores.access import StoreAccess, record_of
from llm_api.core.vector_stores.attaching import attach
from llm_api.core.vector_stores.counting import vector_bytes
from llm_api.core.vector_stores.paging import StoreWindow, window_of
from llm_api.core.vector_stores.views import (
    Attributes,
    NewStoreFile,
    StoreFileView,
    attributes_of,
    changed_attributes,
    chunks_from_json,
    filename_of,
)

MAX_LISTED: Final = 100_000
"""Files whose order is kept for the next page."""
_TOGETHER: Final = 200


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """Every method raises VectorStoreNotFoundError.

    Those about a file of the store raise FileNotInStoreError as well.
    """

    access: StoreAccess

    async def attach(self, id: str, file: NewStoreFile) -> StoreFileView:
        """Raises as `attaching.attach`."""
        (attached,) = await attach(self.access, id, [file])
        return _unsettled(self.access, attached)

    async def get(self, id: str, file_id: str) -> StoreFileView:
        collection = await self.access.collection(id)
        row = await (await self.access.rows()).files.get(id, file_id)
        record = await record_of(self.access.retrieval.store, id, file_id)
        view = _view(self.access, collection, row, record)
        if view is None:
            raise _not_in(id, file_id)
        return view

    async def page(
        self, id: str, window: StoreWindow, status: FileStatus | None = None
    ) -> Page[StoreFileView]:
        """Of this status, or all. Raises InvalidRequestError for an unknown cursor as well.

        A page that goes on from another one is of the files as they were listed for that one, if
        that was a moment ago: what each of them is by now is read, and no other file.
        """
        retrieval = self.access.retrieval
        key = id, self.access.owner, retrieval.rights.digest, status or ""
        cursor, listed = window.after or window.before, retrieval.listings.get(key)
        if cursor is not None and listed is not None and cursor in listed:
            places = [(created_at, one) for one, created_at in listed.items()]
            page = window_of(places, lambda place: place, window)
            views = await self._these(id, [one for _, one in page.entries])
            wanted = [one for one in views if status is None or one.status == status]
            return Page(wanted, page.has_more)
        views = [one for one in await self._all(id) if status is None or one.status == status]
        if window.limit < len(views) <= MAX_LISTED:
            retrieval.listings.put(key, {one.id: one.created_at for one in views})
        return _page(views, window)

    async def some(
        self,
        id: str,
        file_ids: Sequence[str],
        window: StoreWindow,
        status: FileStatus | None = None,
    ) -> Page[StoreFileView]:
        """As `page`, of these files."""
        found = await self._these(id, file_ids)
        return _page([one for one in found if status is None or one.status == status], window)

    async def set_attributes(self, id: str, file_id: str, attributes: Attributes) -> StoreFileView:
        """Replace them. Nothing is embedded again. Raises PermissionDeniedError as well."""
        await self.get(id, file_id)
        self.access.require_write(id)
        store = self.access.retrieval.store
        if (record := await record_of(store, id, file_id)) is not None:
            metadata = changed_attributes(record.metadata, record.title, attributes)
            await store.update_metadata(id, file_id, metadata)
        rows = (await self.access.rows()).files
        await rows.set_attributes(id, file_id, json.dumps(dict(attributes)))
        return await self.get(id, file_id)

    async def detach(self, id: str, file_id: str) -> None:
        """Take it out of the store. The file itself stays.

        Where a process works on it, that process deletes what it writes of it. Raises
        PermissionDeniedError as well.
        """
        await self.get(id, file_id)
        self.access.require_write(id)
        await (await self.access.rows()).files.detach(id, file_id)
        await self.access.retrieval.store.delete_documents(id, [file_id])

    async def text(self, id: str, file_id: str) -> tuple[StoreFileView, str]:
        """What was read of it. Empty where it is not stored (yet)."""
        view = await self.get(id, file_id)
        try:
            document = await self.access.retrieval.store.read_document(id, file_id)
        except DocumentNotFoundError:
            return view, ""
        return view, document.text

    async def forget_file(self, file_id: str) -> None:
        """Take a file out of every store that its owner has brought it into, as far as it may."""
        rows = (await self.access.rows()).files
        for id in await rows.stores_of(self.access.owner, file_id):
            with suppress(CollectionNotFoundError, PermissionDeniedError):
                await self.access.retrieval.store.delete_documents(id, [file_id])
                await rows.detach(id, file_id)

    async def _all(self, id: str) -> list[StoreFileView]:
        collection = await self.access.collection(id)
        rows = {one.file_id: one for one in await (await self.access.rows()).files.of_store(id)}
        views = [
            _view(self.access, collection, rows.pop(record.id, None), record)
            async for record in every_document(self.access.retrieval.store, id)
        ]
        views += [_view(self.access, collection, row, None) for row in rows.values()]
        return [one for one in views if one is not None]

    async def _these(self, id: str, file_ids: Sequence[str]) -> list[StoreFileView]:
        """Those that there are, in this order."""
        collection, files = await self.access.collection(id), (await self.access.rows()).files
        views = []
        for start in range(0, len(file_ids), _TOGETHER):
            some = file_ids[start : start + _TOGETHER]
            rows = {one.file_id: one for one in await files.of_store(id, some)}
            records = await self.access.retrieval.store.get_documents(id, some)
            views += [
                _view(self.access, collection, rows.get(one), records.get(one)) for one in some
            ]
        return [one for one in views if one is not None]


def _page(views: Sequence[StoreFileView], window: StoreWindow) -> Page[StoreFileView]:
    return window_of(views, lambda one: (one.created_at, one.id), window)


def _view(
    access: StoreAccess,
    collection: Collection,
    row: StoreFile | None,
    record: DocumentRecord | None,
) -> StoreFileView | None:
    """None where there is nothing, as of a completed file whose document is gone."""
    if row is None or row.status == "completed":
        return None if record is None else _completed(access, collection, row, record)
    if record is None and not access.may_see(row):
        return None
    return _unsettled(access, row, 0 if record is None else vector_bytes(collection, record.chunks))


def _unsettled(access: StoreAccess, row: StoreFile, usage_bytes: int = 0) -> StoreFileView:
    return StoreFileView(
        id=row.file_id,
        store_id=row.store_id,
        filename=row.filename,
        status=row.status,
        created_at=row.created_at,
        usage_bytes=usage_bytes,
        attributes=json.loads(row.attributes),
        chunks=chunks_from_json(row.chunking) or access.retrieval.chunks,
        error_code=row.error_code,
        error=row.error,
    )


def _completed(
    access: StoreAccess, collection: Collection, row: StoreFile | None, record: DocumentRecord
) -> StoreFileView:
    chunks = None
    if row is not None:
        chunks = chunks_from_json(row.chunking) or access.retrieval.chunks
    return StoreFileView(
        id=record.id,
        store_id=collection.name,
        filename=filename_of(record.metadata, record.title, record.id),
        status="completed",
        created_at=record.stored_at if row is None else row.created_at,
        usage_bytes=vector_bytes(collection, record.chunks),
        attributes=attributes_of(record.metadata, record.title),
        chunks=chunks,
    )


def _not_in(id: str, file_id: str) -> FileNotInStoreError:
    return FileNotInStoreError(
        f"No file found with id '{file_id}' in vector store '{id}'.", param="file_id"
    )
