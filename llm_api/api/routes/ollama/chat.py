"""Ollama's resources that generate: `POST /api/chat` and `POST /api/generate`."""

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import Generation, answer
from llm_api.api.deps import Services
from llm_api.api.docs import OLLAMA_ERRORS, streamable
from llm_api.api.mapping.ollama.answers import (
    OllamaAnswerWriter,
    OllamaForm,
    Said,
    chat_line,
    generate_line,
)
from llm_api.api.mapping.ollama.generation import (
    ignored_options,
    to_chat_generation,
    to_prompt_generation,
)
from llm_api.api.mapping.ollama.keep_alive import to_seconds
from llm_api.api.models.ollama.answers import ChatLine, GenerateLine
from llm_api.api.models.ollama.chat import (
    OllamaChatRequest,
    OllamaGenerateRequest,
    OllamaGenerationRequest,
)
from llm_api.api.progress_frames import UNASKED
from llm_api.api.request_facts import facts_of
from llm_api.api.routes.ollama.door import OllamaRoute
from llm_api.api.routes.ollama.keep_alive import kept, unload
from llm_api.api.stream_forms import NDJSON
from llm_api.core.llm.types import GenerationRequest

router = APIRouter(prefix="/api", tags=["Ollama"], route_class=OllamaRoute)

_LINES = "application/x-ndjson"


@router.post(
    "/chat",
    summary="Continue a conversation",
    response_model=ChatLine,
    responses=streamable(
        "The answer, line by line unless `stream` is false.", _LINES, OLLAMA_ERRORS
    ),
)
async def ollama_chat(request: Request, body: OllamaChatRequest, services: Services) -> Response:
    """Answer the last turn of a conversation, in the form of Ollama's API."""
    if not body.messages:
        return await _loaded(request, body, services, chat_line)
    asked = to_chat_generation(body, services.models.card(body.model))
    return await _answer(request, body, services, asked, chat_line)


@router.post(
    "/generate",
    summary="Answer a prompt",
    response_model=GenerateLine,
    responses=streamable(
        "The answer, line by line unless `stream` is false.", _LINES, OLLAMA_ERRORS
    ),
)
async def ollama_generate(
    request: Request, body: OllamaGenerateRequest, services: Services
) -> Response:
    """Answer one prompt, in the form of Ollama's API."""
    if not (body.prompt or body.suffix):
        return await _loaded(request, body, services, generate_line)
    asked = to_prompt_generation(body, services.models.card(body.model))
    return await _answer(request, body, services, asked, generate_line)


async def _answer(
    request: Request,
    body: OllamaGenerationRequest,
    services: Services,
    asked: GenerationRequest,
    form: OllamaForm,
) -> Response:
    context = services.context(is_streamed=body.is_streamed, is_repeatable=True)
    backend = services.models.resolve(body.model, context)
    facts = facts_of(request.scope)
    facts.ignored.note(ignored_options(body, backend.card))

    def writer(by: str) -> OllamaAnswerWriter:
        name = body.model if by == backend.card.id else by
        return OllamaAnswerWriter(name, form, facts.seconds, bool(body.logprobs))

    after = await kept(request, body, services)
    generation = Generation(context, backend, [asked], telling=UNASKED)
    response = await answer(request, generation, writer, NDJSON)
    response.background = after
    return response


async def _loaded(
    request: Request, body: OllamaGenerationRequest, services: Services, form: OllamaForm
) -> Response:
    """Nothing is asked of the model but to be in memory, or not to be."""
    line = form(body.model, Said(is_last=True))
    if body.keep_alive is not None and to_seconds(body.keep_alive) == 0:
        line.done_reason = "unload"
        await unload(body.model, services)
    else:
        line.done_reason = "load"
        await kept(request, body, services)
        context = services.context(is_streamed=False, is_repeatable=False)
        await services.models.resolve(body.model, context).count_tokens([])
    return Response(line.to_json(), media_type="application/json")
