"""Answers from documents: `POST /v1/rag/chat`."""

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import Generation, answer, new_head
from llm_api.api.deps import DocumentService, Services
from llm_api.api.docs import streamable
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.rag.chat import (
    RagAnswerWriter,
    to_generation_request,
    to_rag_options,
    to_top_k,
)
from llm_api.api.models.rag.chat import RagAnswer, RagChatRequest
from llm_api.core.rag.answering.answer import RagBackend

router = APIRouter(prefix="/v1/rag", tags=["Documents"], route_class=JSONBodyRoute)


@router.post(
    "/chat",
    summary="Answer a question from documents",
    response_model=RagAnswer,
    responses=streamable("The answer, or with `stream` its typed events, `sources` first."),
)
async def create_rag_answer(
    request: Request, body: RagChatRequest, services: Services, retrieval: DocumentService
) -> Response:
    """Search, answer from what was found, and cite it: each marker with document, span and quote.

    Where no document covers the question, the answer says so and `sources` is empty.
    """
    context = services.context(is_streamed=body.is_streamed, is_repeatable=False)
    backend = services.models.resolve(body.model, context)
    options = to_rag_options(body, to_top_k(body, retrieval.top_k))
    generation = to_generation_request(body, backend.card.defaults)
    rag = RagBackend(backend, retrieval.retriever, retrieval.store, retrieval.embedder, options)

    def writer(model: str) -> RagAnswerWriter:
        return RagAnswerWriter(new_head("rag", model, request.app.version))

    return await answer(request, Generation(context, rag, [generation]), writer)
