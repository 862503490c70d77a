"""Vector stores: `/v1/vector_stores`. Each is a collection of `/v1/rag`, and the reverse."""

from fastapi import APIRouter, Request

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping import vector_stores as mapping
from llm_api.api.models.vector_stores import (
    CreateVectorStore,
    DeletedVectorStore,
    SearchResultsPage,
    SearchVectorStore,
    UpdateVectorStore,
    VectorStoreList,
    VectorStoreObject,
)
from llm_api.api.routes.vector_stores.parameters import PageWindow, StoreId
from llm_api.core.vector_stores.attaching import attach, check_files
from llm_api.core.vector_stores.stores import VectorStores
from llm_api.core.vector_stores.views import NewStoreFile

router = APIRouter(prefix="/v1", tags=["Vector stores"], responses=ERROR_RESPONSES)
bodies = APIRouter(route_class=JSONBodyRoute)


@bodies.post("/vector_stores", summary="Make a vector store")
async def create_vector_store(body: CreateVectorStore, services: Services) -> VectorStoreObject:
    """In a collection of its own. Its files are brought in after the answer."""
    access = services.vector_stores()
    told = mapping.to_description(body)
    files = [NewStoreFile(id) for id in body.file_ids or ()]
    await check_files(access, files)
    stores = VectorStores(access)
    view = await stores.create(told, mapping.to_days(body.expires_after))
    if files:
        await attach(access, view.id, files)
        view = await stores.get(view.id)
    return mapping.to_store(view)


@router.get("/vector_stores", summary="List vector stores")
async def list_vector_stores(services: Services, window: PageWindow) -> VectorStoreList:
    """All collections that this key may read. Those that `/v1/rag` has made are the oldest."""
    return mapping.to_store_list(await VectorStores(services.vector_stores()).page(window))


@router.get("/vector_stores/{vector_store_id}", summary="Describe a vector store")
async def retrieve_vector_store(vector_store_id: StoreId, services: Services) -> VectorStoreObject:
    """How many files it has, and how far they are."""
    return mapping.to_store(await VectorStores(services.vector_stores()).get(vector_store_id))


@bodies.post("/vector_stores/{vector_store_id}", summary="Change a vector store")
async def update_vector_store(
    vector_store_id: StoreId, body: UpdateVectorStore, services: Services
) -> VectorStoreObject:
    """Its name, its metadata, when it expires."""
    stores = VectorStores(services.vector_stores())
    return mapping.to_store(await stores.update(vector_store_id, mapping.to_change(body)))


@router.delete("/vector_stores/{vector_store_id}", summary="Delete a vector store")
async def delete_vector_store(vector_store_id: StoreId, services: Services) -> DeletedVectorStore:
    """With its documents. The files of `/v1/files` stay."""
    await VectorStores(services.vector_stores()).delete(vector_store_id)
    return DeletedVectorStore(id=vector_store_id, object="vector_store.deleted", deleted=True)


@bodies.post("/vector_stores/{vector_store_id}/search", summary="Search a vector store")
async def search_vector_store(
    request: Request, vector_store_id: StoreId, body: SearchVectorStore, services: Services
) -> SearchResultsPage:
    """The best chunks of its files, best first, each with its span in the file's text."""
    options = mapping.to_search_options(vector_store_id, body)
    questions = mapping.to_questions(body)
    searching = VectorStores(services.vector_stores()).search(questions, options)
    return mapping.to_results(questions, await until_disconnect(request, searching))


router.include_router(bodies)
