"""Collections: `/v1/rag/collections`."""

from typing import Annotated

from fastapi import APIRouter, Path

from llm_api.api.deps import DocumentService, Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.rag.search import to_tuned_search
from llm_api.api.models.rag.documents import (
    Collection,
    CollectionList,
    CollectionTuning,
    DeletedCollection,
    NewCollection,
)
from llm_api.core.rag import vector_store
from llm_api.core.rag.embed_documents import embedding_of

router = APIRouter(prefix="/v1/rag", tags=["Documents"], responses=ERROR_RESPONSES)
bodies = APIRouter(route_class=JSONBodyRoute)

Name = Annotated[str, Path(max_length=64, examples=["default"])]


@router.get("/collections", summary="List collections")
async def list_collections(retrieval: DocumentService) -> CollectionList:
    """All collections, by name."""
    collections = await retrieval.store.list_collections()
    return CollectionList(object="list", data=[_wire(one) for one in collections])


@bodies.post("/collections", summary="Make a collection")
async def create_collection(body: NewCollection, retrieval: DocumentService) -> Collection:
    """An empty collection, or the one that is there. Ingests make theirs by themselves."""
    await retrieval.store.create_collection(body.name, await embedding_of(retrieval.embedder))
    return _wire(await retrieval.store.describe_collection(body.name))


@router.get("/collections/{name}", summary="Describe a collection")
async def retrieve_collection(name: Name, retrieval: DocumentService) -> Collection:
    """How much is in it, and whose vectors."""
    return _wire(await retrieval.store.describe_collection(name))


@router.delete("/collections/{name}", summary="Delete a collection")
async def delete_collection(
    name: Name, retrieval: DocumentService, services: Services
) -> DeletedCollection:
    """With all its documents."""
    await retrieval.store.delete_collection(name)
    await services.vector_stores().forget(name)
    return DeletedCollection(name=name, object="rag.collection.deleted", deleted=True)


@router.delete("/collections/{name}/tuning", summary="Forget how a collection is tuned")
async def delete_tuning(name: Name, retrieval: DocumentService) -> Collection:
    """It is searched by the server's defaults again."""
    await retrieval.store.write_tuning(name, None)
    return _wire(await retrieval.store.describe_collection(name))


def _wire(collection: vector_store.Collection) -> Collection:
    return Collection(
        name=collection.name,
        object="rag.collection",
        embedding_model=collection.embedding.model,
        dimension=collection.embedding.dimension,
        word_rule=collection.word_rule,
        status="ready" if collection.damage is None else "damaged",
        damage=collection.damage,
        documents=collection.documents,
        chunks=collection.chunks,
        tuned=None if collection.tuned is None else _tuning(collection.tuned),
    )


def _tuning(tuned: vector_store.TunedSearch) -> CollectionTuning:
    return CollectionTuning(
        **dict(to_tuned_search(tuned)),
        questions=tuned.questions,
        ndcg=tuned.ndcg,
        ndcg_before=tuned.ndcg_before,
        tuned_at=int(tuned.tuned_at),
    )


router.include_router(bodies)
