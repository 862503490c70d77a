"""Search: `POST /v1/rag/search`."""

from dataclasses import replace

from fastapi import APIRouter, Request

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.rag.search import (
    to_search_answer,
    to_search_options,
)
from llm_api.api.models.rag.search import SearchAnswer, SearchRequest
from llm_api.core.rag.answering.expansion import expand

router = APIRouter(
    prefix="/v1/rag", tags=["Documents"], route_class=JSONBodyRoute, responses=ERROR_RESPONSES
)


@router.post(
    "/search",
    summary="Find the chunks that may answer a question",
    response_model_exclude_unset=True,
)
async def search(request: Request, body: SearchRequest, services: Services) -> SearchAnswer:
    """The best chunks, best first, each with its scores and its place in the document."""
    retrieval = services.retrieval()
    options = await retrieval.retriever.resolved(to_search_options(body, retrieval.top_k))
    if body.expand is None:
        found = await until_disconnect(request, retrieval.retriever.search(body.query, options))
        return to_search_answer(options, found)
    services.caller.require("generate")
    context = services.context(is_streamed=False, is_repeatable=True)
    backend = services.models.resolve(body.model, context)
    also = await until_disconnect(request, expand(backend, body.query, body.expand))
    options = replace(options, expansion=body.expand)
    searching = retrieval.retriever.search_all(body.query, also, options)
    return to_search_answer(options, await until_disconnect(request, searching), also)
