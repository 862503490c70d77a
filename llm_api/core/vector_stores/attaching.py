"""Files into a store: checked, written down, and left to who brings them in."""

import json
from collections.abc import Sequence

from llm_api.core.state.store_records import FileBatch, StoreFile
from llm_api.core.vector_stores.access import StoreAccess, stored_of
from llm_api.core.vector_stores.views import NewStoreFile, StoreDescription, chunks_to_json


async def check_files(access: StoreAccess, files: Sequence[NewStoreFile]) -> None:
    """Raises StoredFileNotFoundError for the first one that the caller has not."""
    for one in files:
        await access.files.get(one.file_id)


async def attach(
    access: StoreAccess, id: str, files: Sequence[NewStoreFile], batch: FileBatch | None = None
) -> Sequence[StoreFile]:
    """Have these files brought into the store. One that stands twice counts as it stands last.

    Raises VectorStoreNotFoundError, VectorStoreExpiredError, PermissionDeniedError,
    StoredFileNotFoundError.
    """
    await access.check([id])
    access.require_write(id)
    facts = await access.facts(id)
    default = None if facts is None else StoreDescription.from_json(facts.body).chunks
    distinct = {one.file_id: one for one in files}
    there = await stored_of(access.retrieval.store, id, list(distinct))
    now = access.now()
    new = []
    for one in distinct.values():
        file = await access.files.get(one.file_id)
        new.append(
            StoreFile(
                store_id=id,
                file_id=file.id,
                owner=access.owner,
                created_at=now,
                filename=file.filename,
                bytes=file.bytes,
                attributes=json.dumps(dict(one.attributes)),
                chunking=chunks_to_json(one.chunks or default),
                existed=file.id in there,
            )
        )
    await (await access.rows()).files.attach(new, batch)
    return new
