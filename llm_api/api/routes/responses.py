"""Responses: `POST /v1/responses`."""

import time
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import Generation
from llm_api.api.deps import Services
from llm_api.api.docs import streamable
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.generation import refuse
from llm_api.api.mapping.responses.fold import ResponseFold, Writing
from llm_api.api.mapping.responses.generation import (
    ResponseHead,
    check_parameters,
    own_names,
    to_chat_prompt,
    to_generation_request,
    to_response,
    wants_logprobs,
    wants_summary,
)
from llm_api.api.mapping.responses.tools import flat_name, server_functions, to_tool_offer
from llm_api.api.mapping.responses.turns import ItemReader, placed
from llm_api.api.mapping.tools import to_server_functions
from llm_api.api.models.responses.items import MessageItem
from llm_api.api.models.responses.parameters import CreateResponse
from llm_api.api.models.responses.response import ResponseObject
from llm_api.api.response_stream import Responding
from llm_api.core.function_loop import FunctionLoop

router = APIRouter(prefix="/v1", tags=["Responses"], route_class=JSONBodyRoute)

IGNORED_TOOLS_HEADER = "x-ignored-tools"


@router.post(
    "/responses",
    summary="Answer, in the form of OpenAI's Responses",
    response_model=ResponseObject,
    responses=streamable("The response, or with `stream` its typed events."),
)
async def create_response(request: Request, body: CreateResponse, services: Services) -> Response:
    """Answer what the input asks, with the tools it brings.

    A parameter that changes meaning is honoured or refused by name; none is ignored. A tool that
    OpenAI's servers run is not offered to the model, and named in `x-ignored-tools`.
    """
    with own_names():
        return await _responding(request, body, services).answer()


def _responding(request: Request, body: CreateResponse, services: Services) -> Responding:
    check_parameters(body)
    names = server_functions(body)
    if names:
        services.caller.require("functions")
    own = services.shared.functions
    functions = to_server_functions(names, own.catalog)
    offer = to_tool_offer(body, functions)
    text = body.input if body.input is not None else []
    items = [MessageItem(role="user", content=text)] if isinstance(text, str) else text
    reader = ItemReader(flat_name, _unsealed)
    prompt = to_chat_prompt(body, reader.turns(placed(items)), offer)
    context = services.context(is_streamed=body.is_streamed, is_repeatable=not functions)
    backend = services.models.resolve(body.model, context)
    asked = to_generation_request(body, prompt, offer, backend.card.defaults)
    head = ResponseHead(new_id("resp"), int(time.time()), backend.card.id)
    if functions:
        backend = FunctionLoop(backend, functions, own.runner, own.max_rounds)
    writing = Writing(offer, wants_summary(body), wants_logprobs(body))
    fold = ResponseFold(to_response(body, head, asked, offer), writing, new_id, _now)
    headers = {IGNORED_TOOLS_HEADER: ", ".join(offer.ignored)} if offer.ignored else {}
    return Responding(request, Generation(context, backend, [asked]), fold, headers)


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def _now() -> int:
    return int(time.time())


def _unsealed(_sealed: str, path: str) -> str:
    refuse(path, "cannot be read here.")
