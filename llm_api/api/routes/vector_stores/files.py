"""The files of a vector store, and batches of them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping import vector_stores as mapping
from llm_api.api.models.vector_stores import (
    AttachFile,
    CreateFileBatch,
    DeletedStoreFile,
    FileBatchObject,
    FileContentPage,
    UpdateStoreFile,
    VectorStoreFileList,
    VectorStoreFileObject,
)
from llm_api.api.routes.vector_stores.parameters import (
    BatchId,
    PageWindow,
    StoreFileId,
    StoreId,
    ask_again_soon,
)
from llm_api.core.state.store_records import FileStatus
from llm_api.core.vector_stores.batches import FileBatches
from llm_api.core.vector_stores.store_files import StoreFiles

router = APIRouter(
    prefix="/v1/vector_stores/{vector_store_id}",
    tags=["Vector stores"],
    responses=ERROR_RESPONSES,
)
bodies = APIRouter(route_class=JSONBodyRoute)

StatusFilter = Annotated[
    FileStatus | None, Query(description="Only those of this status.", examples=["completed"])
]


@bodies.post("/files", summary="Bring a file into a store", response_model_exclude_unset=True)
async def create_store_file(
    vector_store_id: StoreId, body: AttachFile, services: Services
) -> VectorStoreFileObject:
    """After the answer: ask for the file until its `status` is not `in_progress` any more."""
    files = StoreFiles(services.vector_stores())
    return mapping.to_file(await files.attach(vector_store_id, mapping.to_new_file(body)))


@router.get("/files", summary="List the files of a store", response_model_exclude_unset=True)
async def list_store_files(
    vector_store_id: StoreId, services: Services, window: PageWindow, filter: StatusFilter = None
) -> VectorStoreFileList:
    """Its documents, whatever brought them, and files on their way or that failed."""
    files = StoreFiles(services.vector_stores())
    return mapping.to_file_list(await files.page(vector_store_id, window, filter))


@router.get("/files/{file_id:path}/content", summary="Read what a store has of a file")
async def retrieve_store_file_content(
    vector_store_id: StoreId, file_id: StoreFileId, services: Services
) -> FileContentPage:
    """Its text, as it was read. Nothing while it is not stored."""
    files = StoreFiles(services.vector_stores())
    return mapping.to_content(*await files.text(vector_store_id, file_id))


@router.get(
    "/files/{file_id:path}",
    summary="See how far a file of a store is",
    response_model_exclude_unset=True,
)
async def retrieve_store_file(
    response: Response, vector_store_id: StoreId, file_id: StoreFileId, services: Services
) -> VectorStoreFileObject:
    """Its status, why it failed, its attributes."""
    ask_again_soon(response)
    files = StoreFiles(services.vector_stores())
    return mapping.to_file(await files.get(vector_store_id, file_id))


@bodies.post(
    "/files/{file_id:path}",
    summary="Change a file's attributes",
    response_model_exclude_unset=True,
)
async def update_store_file(
    vector_store_id: StoreId, file_id: StoreFileId, body: UpdateStoreFile, services: Services
) -> VectorStoreFileObject:
    """They are metadata of the document. Nothing is embedded again."""
    files = StoreFiles(services.vector_stores())
    attributes = body.attributes or {}
    return mapping.to_file(await files.set_attributes(vector_store_id, file_id, attributes))


@router.delete("/files/{file_id:path}", summary="Take a file out of a store")
async def delete_store_file(
    vector_store_id: StoreId, file_id: StoreFileId, services: Services
) -> DeletedStoreFile:
    """With its document. The file of `/v1/files` stays."""
    await StoreFiles(services.vector_stores()).detach(vector_store_id, file_id)
    return DeletedStoreFile(id=file_id, object="vector_store.file.deleted", deleted=True)


@bodies.post("/file_batches", summary="Bring files into a store together")
async def create_file_batch(
    vector_store_id: StoreId, body: CreateFileBatch, services: Services
) -> FileBatchObject:
    """All of them, or none where one of them is not known."""
    batches = FileBatches(services.vector_stores())
    new = mapping.to_new_files(body)
    return mapping.to_batch(await batches.create(vector_store_id, new))


@router.get("/file_batches/{batch_id}", summary="See how far a batch of files is")
async def retrieve_file_batch(
    response: Response, vector_store_id: StoreId, batch_id: BatchId, services: Services
) -> FileBatchObject:
    """How many of its files are in, failed or under way."""
    ask_again_soon(response)
    batches = FileBatches(services.vector_stores())
    return mapping.to_batch(await batches.get(vector_store_id, batch_id))


@router.post("/file_batches/{batch_id}/cancel", summary="Cancel a batch of files")
async def cancel_file_batch(
    vector_store_id: StoreId, batch_id: BatchId, services: Services
) -> FileBatchObject:
    """What has not begun is not brought in; what is in stays."""
    batches = FileBatches(services.vector_stores())
    return mapping.to_batch(await batches.cancel(vector_store_id, batch_id))


@router.get(
    "/file_batches/{batch_id}/files",
    summary="List the files of a batch",
    response_model_exclude_unset=True,
)
async def list_batch_files(
    vector_store_id: StoreId,
    batch_id: BatchId,
    services: Services,
    window: PageWindow,
    filter: StatusFilter = None,
) -> VectorStoreFileList:
    """Those that are still attached."""
    batches = FileBatches(services.vector_stores())
    return mapping.to_file_list(await batches.files(vector_store_id, batch_id, window, filter))


router.include_router(bodies)
