"""Embeddings: `POST /v1/embeddings`."""

import asyncio
from functools import partial

from fastapi import APIRouter, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.embeddings import to_embedding_request, to_json_answer
from llm_api.api.models.embeddings import EmbeddingList, EmbeddingsRequest
from llm_api.api.request_facts import facts_of
from llm_api.core.llm.types import Usage

TRUNCATED_HEADER = "x-truncated-inputs"
WRITTEN_AT_ONCE = 4096
"""Numbers that the event loop may write itself: about 1 ms."""

router = APIRouter(
    prefix="/v1", tags=["Embeddings"], route_class=JSONBodyRoute, responses=ERROR_RESPONSES
)


@router.post("/embeddings", summary="Turn texts into vectors", response_model=EmbeddingList)
async def create_embeddings(
    request: Request, body: EmbeddingsRequest, services: Services
) -> Response:
    """One vector for each input, in their order, in the form of OpenAI's API.

    An input that is empty, too long, or of another model's token ids is refused by its position:
    no vector is ever that of something else.
    """
    embedder = services.embedders.resolve(body.model)
    embedding_request = to_embedding_request(body)
    facts = facts_of(request.scope)
    facts.embed(embedder.card, embedding_request)
    embeddings = await until_disconnect(request, embedder.embed(embedding_request))
    facts.usage = Usage(embeddings.tokens, 0)
    write = partial(to_json_answer, embeddings, body, embedder.card.id)
    is_small = embeddings.vectors.size <= WRITTEN_AT_ONCE
    content = write() if is_small else await asyncio.to_thread(write)
    headers = {TRUNCATED_HEADER: str(len(embeddings.truncated))} if body.truncate else {}
    return Response(content, headers=headers, media_type="application/json")
