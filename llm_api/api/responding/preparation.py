"""From a request for a response to what answers it: its prompt, its tools, its fold, its store."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final
from uuid import uuid4

from fastapi import Request

from llm_api.api.answers import Generation
from llm_api.api.deps import CallerServices
from llm_api.api.mapping.responses.fold import ResponseFold, Writing
from llm_api.api.mapping.responses.generation import (
    SEALED_REASONING,
    ResponseHead,
    check_parameters,
    check_prompt,
    to_chat_prompt,
    to_generation_request,
    to_response,
    wants_logprobs,
    wants_summary,
    with_instructions,
)
from llm_api.api.mapping.responses.stored import to_stored_items
from llm_api.api.mapping.responses.tools import (
    ToolOffer,
    flat_name,
    server_functions,
    to_tool_offer,
)
from llm_api.api.mapping.responses.turns import ItemReader, ReadTurn
from llm_api.api.mapping.tools import to_server_functions
from llm_api.api.models.responses.parameters import CreateResponse, PromptParameters
from llm_api.api.responding.foreground import Responding
from llm_api.api.responding.intake import GivenItems, needs_state, read_files, take_in
from llm_api.api.responding.keeping import Keeping
from llm_api.core.errors import InvalidRequestError
from llm_api.core.function_loop import FunctionLoop
from llm_api.core.functions.types import Function
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.shortening import ShorteningBackend
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Started
from llm_api.core.utils.sealing import UnsealableError

IGNORED_TOOLS_HEADER: Final = "x-ignored-tools"


async def prepare(request: Request, body: CreateResponse, services: CallerServices) -> Responding:
    """All that it takes to answer. Raises what is wrong with the request."""
    check_parameters(body)
    is_stored = body.is_stored and services.keeps_responses
    if body.is_background and not is_stored:
        raise InvalidRequestError(
            "'background' needs 'store': this server keeps no responses.", param="background"
        )
    state = await services.state() if is_stored or needs_state(body) else None
    functions = _functions(body, services)
    offer = to_tool_offer(body, functions)
    intake = await take_in(body, state)
    turns = await _turns(body, intake, services)
    prompt = to_chat_prompt(body, turns, offer)
    is_whole = not (body.is_streamed or body.is_background)
    context = services.context(is_streamed=not is_whole, is_repeatable=not functions)
    backend = services.models.resolve(body.model, context)
    asked = to_generation_request(body, prompt, offer, backend.card.defaults)
    head = ResponseHead(new_id("resp"), _now(), backend.card.id, is_stored)
    if functions:
        own = services.shared.functions
        backend = FunctionLoop(backend, functions, own.runner, own.max_rounds, body.max_tool_calls)
    if body.truncation == "auto":
        backend = ShorteningBackend(backend)
    writing = _writing(body, offer, turns, services)
    fold = ResponseFold(to_response(body, head, asked, offer), writing, new_id, _now)
    keeping = None
    if state is not None and is_stored:
        own_items = to_stored_items([one.item for one in intake.own], new_id)
        keeping = Keeping(state.responses, fold, own_items)
    generation = Generation(context, backend, [asked])
    return Responding(request, generation, fold, _headers(offer), keeping)


async def prompt_of(body: PromptParameters, services: CallerServices) -> ChatPrompt:
    """What the model would be shown."""
    check_prompt(body)
    state = await services.state() if needs_state(body) else None
    offer = to_tool_offer(body, _functions(body, services))
    turns = await _turns(body, await take_in(body, state), services)
    return to_chat_prompt(body, turns, offer)


async def count_prompt(backend: Backend, prompt: ChatPrompt) -> int:
    """The tokens of a prompt. Raises InvalidRequestError where the model's template refuses it."""
    if "tokens" in backend.card.capabilities.abilities:  # it has the vocabulary
        async with aclosing(backend.generate(GenerationRequest(prompt, max_tokens=0))) as events:
            async for event in events:
                if isinstance(event, Started) and event.prompt_tokens is not None:
                    return event.prompt_tokens
    texts = [turn.content for turn in prompt.messages]
    texts += [json.dumps(tool.schema) for tool in prompt.tools]
    return sum(await backend.count_tokens(texts))


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def _now() -> int:
    return int(time.time())


def _functions(body: PromptParameters, services: CallerServices) -> tuple[Function, ...]:
    names = server_functions(body)
    if names:
        services.caller.require("functions")
    functions = to_server_functions(names, services.shared.functions.catalog, "tools")
    may_call = not isinstance(body, CreateResponse) or body.max_tool_calls != 0
    return functions if may_call else ()


async def _turns(
    body: PromptParameters, intake: GivenItems, services: CallerServices
) -> list[ReadTurn]:
    files = await read_files(intake.items, services.shared.loader)
    reader = ItemReader(flat_name, partial(_unsealed, services), files)
    return with_instructions(body, reader.turns(intake.items))


def _unsealed(services: CallerServices, sealed: str, path: str) -> str:
    try:
        return services.shared.sealer.unseal(sealed, services.caller.key.name)
    except UnsealableError as error:
        raise InvalidRequestError(
            f"'{path}' was not encrypted here, or for another key; leave the item out.", param=path
        ) from error


def _writing(
    body: CreateResponse, offer: ToolOffer, turns: Sequence[ReadTurn], services: CallerServices
) -> Writing:
    sealed = None
    if SEALED_REASONING in (body.include or ()):
        sealer, owner = services.shared.sealer, services.caller.key.name
        sealed = lambda text: sealer.seal(text, owner)  # noqa: E731
    return Writing(offer, turns, wants_summary(body), wants_logprobs(body), sealed)


def _headers(offer: ToolOffer) -> Mapping[str, str]:
    return {IGNORED_TOOLS_HEADER: ", ".join(offer.ignored)} if offer.ignored else {}
