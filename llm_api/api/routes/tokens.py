"""Tokens: `POST /tokenize`, `/detokenize` and `/apply-template`."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import BearingRoute
from llm_api.api.mapping import tokens as mapping
from llm_api.api.models.base import AnswerModel
from llm_api.api.models.tokens import (
    CountedTokens,
    DetokenizedContent,
    DetokenizedPrompt,
    DetokenizeRequest,
    TemplateAnswer,
    TemplateRequest,
    TokenizeRequest,
    TokenList,
)
from llm_api.core.llm.backend import Backend

router = APIRouter(tags=["Tokens"], route_class=BearingRoute, responses=ERROR_RESPONSES)


@router.post("/tokenize", summary="Make tokens of a text", response_model=TokenList | CountedTokens)
@router.post("/v1/tokenize", include_in_schema=False)
async def tokenize(request: Request, body: TokenizeRequest, services: Services) -> Response:
    """Exactly those that the model reads, for models of this machine.

    In the form of llama.cpp's server (`content`), or of vLLM (`prompt`, or `messages` through the
    chat template).
    """
    text = mapping.to_text(body)
    backend = _backend(services, body.model)
    tokenized = await until_disconnect(request, backend.tokenize(text))
    answer = mapping.to_answer
    return await _written(lambda: answer(body, tokenized, backend.card.context_length))


@router.post(
    "/detokenize",
    summary="Make text of tokens",
    response_model=DetokenizedContent | DetokenizedPrompt,
)
@router.post("/v1/detokenize", include_in_schema=False)
async def detokenize(request: Request, body: DetokenizeRequest, services: Services) -> Response:
    """The text that the tokens stand for, control tokens included."""
    backend = _backend(services, body.model)
    text = await until_disconnect(request, backend.detokenize(body.tokens))
    if body.model is None:
        return await _written(lambda: DetokenizedContent(content=text))
    return await _written(lambda: DetokenizedPrompt(prompt=text))


@router.post("/apply-template", summary="Lay a conversation out as text")
@router.post("/v1/apply-template", include_in_schema=False)
async def apply_template(
    request: Request, body: TemplateRequest, services: Services
) -> TemplateAnswer:
    """What the model's chat template makes of a conversation, up to where its answer begins."""
    prompt = mapping.to_conversation(body)
    backend = _backend(services, body.model)
    tokenized = await until_disconnect(request, backend.tokenize(prompt))
    return TemplateAnswer(prompt=tokenized.text)


def _backend(services: Services, name: str | None) -> Backend:
    context = services.context(is_streamed=False, is_repeatable=False)
    return services.models.resolve(name, context)


async def _written(write: Callable[[], AnswerModel]) -> Response:
    """A million tokens take a tenth of a second to write."""
    body = await asyncio.to_thread(lambda: write().to_json())
    return Response(body, media_type="application/json")
