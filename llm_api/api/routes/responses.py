"""Responses are made: `POST /v1/responses`, and what its prompt would take."""

from fastapi import APIRouter, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES, streamable
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.responses.generation import own_names
from llm_api.api.models.responses.parameters import CreateResponse, InputTokensRequest
from llm_api.api.models.responses.response import InputTokens, ResponseObject
from llm_api.api.responding.background import background_of
from llm_api.api.responding.following import follow
from llm_api.api.responding.preparation import count_prompt, prepare, prompt_of

router = APIRouter(prefix="/v1", tags=["Responses"], route_class=JSONBodyRoute)


@router.post(
    "/responses",
    summary="Answer, in the form of OpenAI's Responses",
    response_model=ResponseObject,
    responses=streamable("The response, or with `stream` its typed events."),
)
async def create_response(request: Request, body: CreateResponse, services: Services) -> Response:
    """Answer what the input asks, with the tools it brings, and keep the response unless told not.

    A parameter that changes meaning is honoured or refused by name; none is ignored. A tool that
    OpenAI's servers run is not offered to the model, and named in `x-ignored-tools`.
    """
    with own_names():
        responding = await until_disconnect(request, prepare(request, body, services))
        keeping = responding.keeping
        if keeping is None or not body.is_background:
            return await responding.answer()
    await background_of(request.app).start(responding, keeping, services.caller.key.name)
    if body.is_streamed:
        answer: Response = await follow(request, keeping.store, keeping.id)
    else:
        answer = Response(keeping.begun, media_type="application/json")
    answer.headers.update(responding.headers)
    return answer


@router.post(
    "/responses/input_tokens", summary="Count the tokens of a prompt", responses=ERROR_RESPONSES
)
async def count_input_tokens(
    request: Request, body: InputTokensRequest, services: Services
) -> InputTokens:
    """What a response would have as its input: exact where the model runs here, else estimated."""
    with own_names():
        prompt = await until_disconnect(request, prompt_of(body, services))
        context = services.context(is_streamed=False, is_repeatable=False)
        backend = services.models.resolve(body.model, context)
        tokens = await until_disconnect(request, count_prompt(backend, prompt))
        return InputTokens(object="response.input_tokens", input_tokens=tokens)
