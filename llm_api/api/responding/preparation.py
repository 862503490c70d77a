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
from llm_api.api.file_search import OpenedSearch, open_search
from llm_api.api.given_files import GivenFiles
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
from llm_api.api.mapping.responses.searched_items import SEARCH_RESULTS
from llm_api.api.mapping.responses.stored import to_stored_items
from llm_api.api.mapping.responses.tools import (
    ToolOffer,
    flat_name,
    server_functions,
    to_tool_offer,
)
from llm_api.api.mapping.responses.turns import Conversed, ItemReader
from llm_api.api.mapping.tools import to_server_functions
from llm_api.api.models.file_search import FileSearchTool
from llm_api.api.models.responses.parameters import CreateResponse, PromptParameters
from llm_api.api.models.responses.tools import MCPTool
from llm_api.api.progress_frames import UNASKED
from llm_api.api.responding.foreground import Responding
from llm_api.api.responding.intake import GivenItems, needs_state, read_files, take_in
from llm_api.api.responding.keeping import Keeping
from llm_api.api.responding.mcp_tools import ConnectedBackend, list_tools
from llm_api.core.errors import InvalidRequestError
from llm_api.core.function_loop import ApprovedCalls, FunctionLoop
from llm_api.core.functions.types import Function
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.shortening import ShorteningBackend
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Started, ToolCall
from llm_api.core.utils.sealing import UnsealableError

IGNORED_TOOLS_HEADER: Final = "x-ignored-tools"
_NO_LOGPROBS: Final = (
    "An answer with citations has no log-probabilities: leave out 'include' and 'top_logprobs' of"
    " them, or the tool 'file_search'."
)


async def prepare(request: Request, body: CreateResponse, services: CallerServices) -> Responding:
    """All that it takes to answer. Raises what is wrong with the request."""
    check_parameters(body)
    is_stored = body.is_stored and services.keeps_responses
    if body.is_background and not is_stored:
        raise InvalidRequestError(
            "'background' needs 'store': this server keeps no responses.", param="background"
        )
    state = await services.state() if is_stored or needs_state(body) else None
    intake = await take_in(body, state)
    said = await _conversed(body, intake, services)
    search = await _search(body, services)
    offer = await _offer(body, services, search)
    prompt = to_chat_prompt(body, said.turns, offer)
    is_whole = not (body.is_streamed or body.is_background)
    is_repeatable = not (offer.functions or offer.listed)
    context = services.context(is_streamed=not is_whole, is_repeatable=is_repeatable)
    model = services.models.resolve(body.model, context)
    asked = to_generation_request(body, prompt, offer, model.card.defaults)
    head = ResponseHead(new_id("resp"), _now(), model.card.id, is_stored)
    called = _with_functions(model, body, offer, search, services)
    backend = _bounded(called, body, offer, said.approved, services)
    writing = _writing(body, offer, said, services)
    fold = ResponseFold(to_response(body, head, asked, offer), writing, new_id, _now)
    keeping = None
    if state is not None and is_stored:
        own_items = to_stored_items([one.item for one in intake.own], new_id)
        keeping = Keeping(state.responses, fold, own_items)
    generation = Generation(context, backend, [asked], telling=UNASKED)
    return Responding(request, generation, fold, _headers(offer), keeping)


async def prompt_of(body: PromptParameters, services: CallerServices) -> ChatPrompt:
    """What the model would be shown."""
    check_prompt(body)
    state = await services.state() if needs_state(body) else None
    said = await _conversed(body, await take_in(body, state), services)
    offer = await _offer(body, services, await _search(body, services))
    return to_chat_prompt(body, said.turns, offer)


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


async def _offer(
    body: PromptParameters, services: CallerServices, search: OpenedSearch | None
) -> ToolOffer:
    """The tools; what is run here only where it may be called."""
    names = server_functions(body)
    if names or any(isinstance(tool, MCPTool) for tool in body.tools or []):
        services.caller.require("functions")
    functions: Sequence[Function] = to_server_functions(names, services.functions.catalog, "tools")
    if isinstance(body, CreateResponse) and body.max_tool_calls == 0:
        functions = ()
    if search is not None:
        functions = (*functions, search.function)
    listed = await list_tools(body, services.shared.mcp_allowed_urls)
    return to_tool_offer(body, functions, listed)


async def _search(body: PromptParameters, services: CallerServices) -> OpenedSearch | None:
    """The search of documents, where it may be made. Raises what is wrong with it."""
    if isinstance(body, CreateResponse) and body.max_tool_calls == 0:
        return None
    for index, tool in enumerate(body.tools or []):
        if isinstance(tool, FileSearchTool):
            if isinstance(body, CreateResponse) and wants_logprobs(body):
                raise InvalidRequestError(_NO_LOGPROBS, param="include")
            return await open_search(tool, f"tools[{index}]", services)
    return None


def _with_functions(
    backend: Backend,
    body: CreateResponse,
    offer: ToolOffer,
    search: OpenedSearch | None,
    services: CallerServices,
) -> Backend:
    """The backend that calls what is run here."""
    own, most = services.functions, body.max_tool_calls
    if search is not None:
        return search.over(backend, offer.functions, own, most)
    if offer.functions:
        return FunctionLoop(backend, offer.functions, own.runner, own.max_rounds, most)
    return backend


def _bounded(
    backend: Backend,
    body: CreateResponse,
    offer: ToolOffer,
    approved: Sequence[ToolCall],
    services: CallerServices,
) -> Backend:
    """The backend as the request wants it beside. Calls that have leave are made once."""
    if body.truncation == "auto":
        backend = ShorteningBackend(backend)
    if approved:
        functions = offer.approvable(approved)
        backend = ApprovedCalls(backend, approved, functions, services.functions.runner)
    return ConnectedBackend(backend, offer.listed) if offer.listed else backend


async def _conversed(
    body: PromptParameters, intake: GivenItems, services: CallerServices
) -> Conversed:
    given = GivenFiles(services.shared.loader, services.files)
    files = await read_files(intake.items, given)
    reader = ItemReader(flat_name, partial(_unsealed, services), files)
    said = reader.read(intake.items)
    return Conversed(with_instructions(body, said.turns), said.approved)


def _unsealed(services: CallerServices, sealed: str, path: str) -> str:
    try:
        return services.shared.sealer.unseal(sealed, services.caller.key.name)
    except UnsealableError as error:
        raise InvalidRequestError(
            f"'{path}' was not encrypted here, or for another key; leave the item out.", param=path
        ) from error


def _writing(
    body: CreateResponse, offer: ToolOffer, said: Conversed, services: CallerServices
) -> Writing:
    sealed = None
    if SEALED_REASONING in (body.include or ()):
        sealer, owner = services.shared.sealer, services.caller.key.name
        sealed = lambda text: sealer.seal(text, owner)  # noqa: E731
    approved = frozenset(call.id for call in said.approved)
    shows_results = SEARCH_RESULTS in (body.include or ())
    return Writing(
        offer,
        said.turns,
        wants_summary(body),
        wants_logprobs(body),
        shows_results,
        sealed,
        approved,
    )


def _headers(offer: ToolOffer) -> Mapping[str, str]:
    return {IGNORED_TOOLS_HEADER: ", ".join(offer.ignored)} if offer.ignored else {}
