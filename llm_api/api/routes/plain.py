"""The plain endpoints, for clients of small servers: `/generate`, `/chat`, `/chat/stream`."""

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import Generation, started, whole
from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.generation import wire_usage
from llm_api.api.mapping.plain import to_generate_request, to_plain_chat_request
from llm_api.api.models.plain import (
    GenerateAnswer,
    GenerateRequest,
    PlainChatAnswer,
    PlainChatRequest,
)
from llm_api.api.origin import origin
from llm_api.api.request_facts import facts_of
from llm_api.api.text_stream import TextStream

router = APIRouter(tags=["Plain"], route_class=JSONBodyRoute, responses=ERROR_RESPONSES)


@router.post("/generate", summary="Continue a prompt")
async def generate(
    request: Request, response: Response, body: GenerateRequest, services: Services
) -> GenerateAnswer:
    """Continue a text as it stands, without a chat template; the prompt is not repeated.

    A model behind a backend that only converses is given the prompt as the user's turn. Where the
    server has keys, send yours as `x-api-key`.
    """
    context = services.context(is_streamed=False, is_repeatable=True)
    backend = services.models.resolve(body.model, context)
    asked = to_generate_request(body, backend.card, services.shared.generate_max_tokens)
    [completion] = await whole(request, Generation(context, backend, [asked]))
    by = origin(backend.card, [completion.served_by])
    response.headers.update(by.headers)
    return GenerateAnswer(
        response=completion.text,
        generated_text=completion.text,
        model=by.model,
        finish_reason=completion.finished.reason,
        usage=wire_usage(completion.finished.usage),
        duration_seconds=round(facts_of(request.scope).seconds(), 6),
    )


@router.post("/chat", summary="Answer a prompt")
async def chat(
    request: Request, response: Response, body: PlainChatRequest, services: Services
) -> PlainChatAnswer:
    """Answer one question, by the model's own chat template. Nothing of it is remembered."""
    asked = _conversation(body, services, is_streamed=False)
    [completion] = await whole(request, asked)
    response.headers.update(origin(asked.backend.card, [completion.served_by]).headers)
    return PlainChatAnswer(response=completion.text)


@router.post(
    "/chat/stream",
    summary="Answer a prompt, word by word",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def chat_stream(request: Request, body: PlainChatRequest, services: Services) -> Response:
    """The same answer as plain text, each piece as soon as it is there.

    A fault of the request is an error before the text begins. An answer that breaks off later ends
    in a line `[error <code>] <message>`, and its chunked body has no end: HTTP clients report an
    incomplete answer. The generation ends when the client disconnects.
    """
    _, events, by = await started(request, _conversation(body, services, is_streamed=True))
    return TextStream(events, request, by.headers)


def _conversation(body: PlainChatRequest, services: Services, *, is_streamed: bool) -> Generation:
    context = services.context(is_streamed=is_streamed, is_repeatable=True)
    backend = services.models.resolve(body.model, context)
    return Generation(context, backend, [to_plain_chat_request(body, backend.card.defaults)])
