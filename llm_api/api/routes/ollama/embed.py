"""Ollama's resources that embed: `POST /api/embed`, and the older `POST /api/embeddings`."""

import asyncio
from functools import partial

from fastapi import APIRouter, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import OLLAMA_ERRORS
from llm_api.api.mapping.ollama.embed import to_embed_answer, to_old_embedding, to_texts
from llm_api.api.models.ollama.embed import (
    EmbedAnswer,
    EmbedRequest,
    OldEmbedding,
    OldEmbeddingRequest,
)
from llm_api.api.request_facts import facts_of
from llm_api.api.routes.embeddings import TRUNCATED_HEADER, WRITTEN_AT_ONCE
from llm_api.api.routes.ollama.door import OllamaRoute
from llm_api.core.embeddings.embedder import EmbeddingRequest, Embeddings
from llm_api.core.llm.types import Usage

router = APIRouter(prefix="/api", tags=["Ollama"], route_class=OllamaRoute, responses=OLLAMA_ERRORS)


@router.post("/embed", summary="Turn texts into vectors", response_model=EmbedAnswer)
async def embed(request: Request, body: EmbedRequest, services: Services) -> Response:
    """One vector for each text. What is too long is cut, and counted in a header."""
    asked = EmbeddingRequest(
        to_texts(body.input), dimensions=body.dimensions, truncates=body.truncate is not False
    )
    made = await _embedded(request, body.model, asked, services)
    write = partial(to_embed_answer, made, body.model, facts_of(request.scope).seconds())
    is_small = made is None or made.vectors.size <= WRITTEN_AT_ONCE
    content = write() if is_small else await asyncio.to_thread(write)
    cut = () if made is None else made.truncated
    headers = {TRUNCATED_HEADER: str(len(cut))} if cut else {}
    return Response(content, headers=headers, media_type="application/json")


@router.post("/embeddings", summary="Turn a text into a vector", response_model=OldEmbedding)
async def embeddings(request: Request, body: OldEmbeddingRequest, services: Services) -> Response:
    """The vector of one text. What is too long is cut."""
    asked = EmbeddingRequest([body.prompt] if body.prompt else [], truncates=True)
    made = await _embedded(request, body.model, asked, services)
    return Response(to_old_embedding(made), media_type="application/json")


async def _embedded(
    request: Request, model: str, asked: EmbeddingRequest, services: Services
) -> Embeddings | None:
    """The vectors; None where there is no text: then Ollama loads the model, and so do we."""
    embedder = services.embedders.resolve(model)
    if not asked.inputs:
        await embedder.token_counter()
        return None
    facts = facts_of(request.scope)
    facts.embed(embedder.card, asked)
    made = await until_disconnect(request, embedder.embed(asked))
    facts.usage = Usage(made.tokens, 0)
    return made
