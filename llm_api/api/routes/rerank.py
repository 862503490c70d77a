"""Texts judged by a query: `POST /v1/rerank`; and text-embeddings-inference's `/embed`, `/info`."""

import asyncio
from functools import partial
from uuid import uuid4

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import BearingRoute
from llm_api.api.mapping import rerank as mapping
from llm_api.api.models.rerank import (
    MAX_DOCUMENTS,
    InferenceInfo,
    RerankAnswer,
    RerankRequest,
    TextEmbedRequest,
)
from llm_api.api.request_facts import facts_of
from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest, Embeddings
from llm_api.core.embeddings.reranker import Judgement
from llm_api.core.embeddings.reranker import RerankRequest as Question
from llm_api.core.errors import ModelNotFoundError
from llm_api.core.llm.types import Usage

TRUNCATED_HEADER = "x-truncated-inputs"

router = APIRouter(tags=["Embeddings"], route_class=BearingRoute, responses=ERROR_RESPONSES)


@router.post("/v1/rerank", summary="Judge texts by a query", response_model=RerankAnswer)
@router.post("/v2/rerank", include_in_schema=False)
@router.post("/rerank", include_in_schema=False)
@router.post("/v1/reranking", include_in_schema=False)
@router.post("/reranking", include_in_schema=False)
async def rerank(request: Request, body: RerankRequest, services: Services) -> Response:
    """The texts that answer the query best, by a model that reads both together.

    In the form of Cohere and Jina (`documents`), or of text-embeddings-inference (`texts`, whose
    answer is a list). Scores are from 0 to 1, unless `raw_scores` is true. What is too long for the
    model is cut at its end, and the header `x-truncated-inputs` says of how many texts.
    """
    question = mapping.to_rerank_request(body)
    model, judgement = await _judged(request, body, question, services)
    facts_of(request.scope).usage = Usage(judgement.tokens, 0)
    headers = {TRUNCATED_HEADER: str(len(judgement.truncated))}
    if body.texts is not None:
        ranked = mapping.to_ranked_texts(body, judgement)
        content = to_json([text.model_dump(exclude_unset=True) for text in ranked])
        return Response(content, headers=headers, media_type="application/json")
    version = "2" if request.url.path.startswith("/v2/") else "1"
    answer = mapping.to_answer(body, judgement, model, str(uuid4()), version)
    return Response(answer.to_json(), headers=headers, media_type="application/json")


async def _judged(
    request: Request, body: RerankRequest, question: Question, services: Services
) -> tuple[str, Judgement]:
    """The name of the model, and what it says."""
    facts = facts_of(request.scope)
    if body.mode == "embedding":
        mapping.check_embedding_mode(body)
        embedder = _embedder(services, body.model)
        facts.rerank(embedder.card, question.question, question.texts)
        work = _compared(embedder, question)
        return embedder.card.id, await until_disconnect(request, work)
    reranker = services.reranker(body.model)
    facts.rerank(reranker.card, question.question, question.texts)
    return reranker.card.id, await until_disconnect(request, reranker.judge(question))


async def _compared(embedder: Embedder, question: Question) -> Judgement:
    asked = EmbeddingRequest([question.question], input_type="query", truncates=True)
    # An empty text says nothing, and no model embeds it.
    texts = [text or " " for text in question.texts]
    given = EmbeddingRequest(texts, input_type="document", truncates=question.truncates)
    return mapping.to_judgement(await embedder.embed(asked), await embedder.embed(given))


@router.post("/embed", summary="Turn texts into vectors", response_model=list[list[float]])
async def embed(request: Request, body: TextEmbedRequest, services: Services) -> Response:
    """One vector for each text, in the form of text-embeddings-inference."""
    inputs = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    embedder = _embedder(services, None)
    asked = EmbeddingRequest(
        inputs,
        input_type=body.prompt_name,
        dimensions=body.dimensions,
        truncates=bool(body.truncate),
    )
    facts = facts_of(request.scope)
    facts.embed(embedder.card, asked)
    embeddings = await until_disconnect(request, embedder.embed(asked))
    facts.usage = Usage(embeddings.tokens, 0)
    content = await asyncio.to_thread(partial(_vectors, embeddings, body.normalize is not False))
    return Response(content, media_type="application/json")


def _vectors(embeddings: Embeddings, is_normalised: bool) -> bytes:
    vectors = mapping.unit(embeddings.vectors) if is_normalised else embeddings.vectors
    return to_json(np.asarray(vectors).tolist())


async def info(request: Request, services: Services) -> InferenceInfo:
    """What the default embedding model is, as far as it is known."""
    card = _embedder(services, None).card
    return InferenceInfo(
        model_id=card.id,
        model_type={"embedding": {"pooling": "mean"}},
        max_input_length=card.max_tokens,
        max_client_batch_size=MAX_DOCUMENTS,
        version=request.app.version,
    )


router.add_api_route(  # without a body
    "/info",
    info,
    summary="Tell clients of text-embeddings-inference the embedding model",
    route_class_override=APIRoute,
)


def _embedder(services: Services, name: str | None) -> Embedder:
    """The embedding model of this name, or the first that the caller may use."""
    if name is None:
        name = next((card.id for card in services.embedders.cards()), None)
    if name is None:
        raise ModelNotFoundError("There is no embedding model that this request may use.")
    return services.embedders.resolve(name)
