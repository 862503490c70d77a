"""Messages in the form of Anthropic's API: `POST /v1/messages`, and what its prompt would take."""

from fastapi import APIRouter, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import MESSAGE_ERRORS, streamable
from llm_api.api.json_body import BearingRoute
from llm_api.api.mapping.anthropic.generation import own_names
from llm_api.api.messaging import asked_prompt, prepare
from llm_api.api.models.anthropic.message import Message, TokenCount
from llm_api.api.models.anthropic.parameters import CountTokens, CreateMessage
from llm_api.api.responding.preparation import count_prompt

router = APIRouter(prefix="/v1/messages", tags=["Messages"], route_class=BearingRoute)


@router.post(
    "",
    summary="Answer, in the form of Anthropic's Messages",
    response_model=Message,
    responses=streamable("The message, or with `stream` its events.", errors=MESSAGE_ERRORS),
)
async def create_message(request: Request, body: CreateMessage, services: Services) -> Response:
    """Answer the last turn of a conversation.

    A parameter that nobody knows is ignored, and named in `x-ignored-parameters`; a tool that runs
    on Anthropic's servers is not offered to the model, and named in `x-ignored-tools`.
    """
    with own_names():
        messaging = await until_disconnect(request, prepare(request, body, services))
        return await messaging.answer()


@router.post("/count_tokens", summary="Count the tokens of a prompt", responses=MESSAGE_ERRORS)
async def count_tokens(request: Request, body: CountTokens, services: Services) -> TokenCount:
    """What a message would have as its input: exact where the model runs here, else estimated."""
    with own_names():
        asked = await until_disconnect(request, asked_prompt(request, body, services))
        context = services.context(is_streamed=False, is_repeatable=False)
        backend = asked.over(services.models.resolve(body.model, context))
        tokens = await until_disconnect(request, count_prompt(backend, asked.prompt))
        return TokenCount(input_tokens=tokens)
