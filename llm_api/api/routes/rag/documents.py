"""Documents: `/v1/rag/documents`."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.convertors import PathConvertor, register_url_convertor

from llm_api.api.deps import DocumentService, Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute, parse_json_text
from llm_api.api.mapping.rag.documents import to_document, to_document_list, to_documents
from llm_api.api.models.rag.documents import (
    DeletedDocument,
    DeletedDocuments,
    Document,
    DocumentChange,
    DocumentList,
    IngestAnswer,
    IngestRequest,
)
from llm_api.api.models.rag.fields import DEFAULT_COLLECTION
from llm_api.api.routes.rag.ingests import INGEST_RESPONSES, Intake, ingest, is_large
from llm_api.core.errors import DocumentNotFoundError, InvalidRequestError
from llm_api.core.rag.filters import EVERYTHING, Filter, parse_filter
from llm_api.core.rag.ingest import each
from llm_api.core.rag.jobs import text_input

router = APIRouter(prefix="/v1/rag", tags=["Documents"], responses=ERROR_RESPONSES)
bodies = APIRouter(route_class=JSONBodyRoute)

Collection = Annotated[str, Query(max_length=64, description="Its collection.")]
_FILTER = Query(
    max_length=65_536, description="A filter as JSON.", examples=['{"source": "docker-docs"}']
)
FilterText = Annotated[str, _FILTER]
MaybeFilterText = Annotated[str | None, _FILTER]
DocumentId = Annotated[str, Path(max_length=512, examples=["docker"])]


class _TextConvertor(PathConvertor):
    """The rest of a path, line breaks included: ids that are refused today were stored once."""

    regex = "(?s:.*)"


register_url_convertor("text", _TextConvertor())


@bodies.post(
    "/documents",
    summary="Store texts to be found again",
    response_model=IngestAnswer,
    responses=INGEST_RESPONSES,
)
async def create_documents(request: Request, body: IngestRequest, services: Services) -> Response:
    """Cut, embed and store documents; the same ones again change nothing.

    A small ingest is durable when it is answered. A large one is a job: 202, and its id.
    """
    retrieval = services.retrieval()
    documents = await asyncio.to_thread(to_documents, body, retrieval.rights.sight)
    size = sum(len(one.text) for one in documents)
    intake = Intake(
        body.collection,
        [one.id for one in documents],
        lambda report: retrieval.ingest(body.collection, each(documents), report),
        "texts",
        lambda: each(map(text_input, documents)),
        is_large(len(documents), size) if body.background is None else body.background,
    )
    return await ingest(request, services.owner, retrieval, intake)


@router.get("/documents", summary="List documents", response_model_exclude_unset=True)
async def list_documents(
    retrieval: DocumentService,
    collection: Collection = DEFAULT_COLLECTION,
    filter: MaybeFilterText = None,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DocumentList:
    """A page of the documents that match, in an order that stays."""
    wanted = EVERYTHING if filter is None else _filter(filter)
    page = await retrieval.store.list_documents(collection, wanted, cursor, limit)
    return to_document_list(page)


@router.delete("/documents", summary="Delete the documents that match a filter")
async def delete_documents(
    retrieval: DocumentService,
    filter: FilterText,
    collection: Collection = DEFAULT_COLLECTION,
) -> DeletedDocuments:
    """The filter is required. To delete everything, delete the collection."""
    wanted = _filter(filter)
    if wanted == EVERYTHING:
        raise InvalidRequestError(
            "An empty filter matches everything; delete the collection instead.", param="filter"
        )
    deleted = await retrieval.store.delete_matching(collection, wanted)
    return DeletedDocuments(object="rag.documents.deleted", deleted=deleted)


@router.get(
    "/documents/{document_id:text}",
    summary="Read a document",
    response_model_exclude_unset=True,
)
async def retrieve_document(
    document_id: DocumentId,
    retrieval: DocumentService,
    collection: Collection = DEFAULT_COLLECTION,
    include_text: Annotated[bool, Query(description="Whether to send its text.")] = True,
) -> Document:
    """What is known of a document, and its text: what spans of hits and citations count in."""
    document = to_document(await retrieval.store.get_document(collection, document_id))
    if include_text:
        document.text = (await retrieval.store.read_document(collection, document_id)).text
    return document


@bodies.patch(
    "/documents/{document_id:text}",
    summary="Change a document's metadata",
    response_model_exclude_unset=True,
)
async def change_document(
    document_id: DocumentId,
    body: DocumentChange,
    retrieval: DocumentService,
    collection: Collection = DEFAULT_COLLECTION,
) -> Document:
    """Replace its metadata, and its title if one is given. Nothing is embedded again."""
    record = await retrieval.store.update_metadata(
        collection, document_id, body.metadata, body.title
    )
    return to_document(record)


@router.delete("/documents/{document_id:text}", summary="Delete a document")
async def delete_document(
    document_id: DocumentId,
    retrieval: DocumentService,
    collection: Collection = DEFAULT_COLLECTION,
) -> DeletedDocument:
    """With all its chunks, in one step."""
    if not await retrieval.store.delete_documents(collection, [document_id]):
        raise DocumentNotFoundError(
            f"There is no document {document_id!r} in {collection!r}.", param="document_id"
        )
    return DeletedDocument(id=document_id, object="rag.document.deleted", deleted=True)


def _filter(text: str) -> Filter:
    """Raises InvalidRequestError."""
    return parse_filter(parse_json_text(text, "filter"))


router.include_router(bodies)
