"""Responses, wire to domain: what is to be generated, and the response before it is. Pure."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from llm_api.api.mapping.generation import (
    refuse,
    renamed,
    required,
    same_meaning,
    to_max_tokens,
    to_sampling,
)
from llm_api.api.mapping.responses.tools import ToolOffer
from llm_api.api.mapping.responses.turns import ReadTurn
from llm_api.api.models.responses.parameters import CreateResponse, PromptParameters
from llm_api.api.models.responses.response import ResponseConversation, ResponseObject
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    OutputFormat,
)

_ANY_OBJECT: Mapping[str, JSON] = {"type": "object"}
_NEVER = "is not available on this server."
_REFUSED = ("prompt", "moderation", "context_management")
_LOGPROBS: Final = "message.output_text.logprobs"
SEALED_REASONING: Final = "reasoning.encrypted_content"

_CHAT_NAMES: Final[Mapping[str, str]] = {
    "messages": "input",
    "response_format": "text.format",
    "logprobs": "include",
    "reasoning_budget": "reasoning.max_tokens",
}
"""Parameters by which the core names what it refuses, and what they are called here."""


def check_parameters(request: CreateResponse) -> None:
    """Raises UnsupportedParameterError, InvalidRequestError for what cannot be honoured."""
    for name in _REFUSED:
        if getattr(request, name) is not None:
            refuse(name, _NEVER)
    if request.stream_options is not None and not request.is_streamed:
        raise InvalidRequestError(
            "'stream_options' is only allowed when 'stream' is true.", param="stream_options"
        )
    if request.is_background and not request.is_stored:
        raise InvalidRequestError(
            "'background' needs 'store': the response is read later.", param="background"
        )
    check_prompt(request)


def check_prompt(request: PromptParameters) -> None:
    """Raises UnsupportedParameterError, InvalidRequestError for what cannot be shown a model."""
    if request.previous_response_id is not None and request.conversation is not None:
        raise InvalidRequestError(
            "'previous_response_id' and 'conversation' exclude each other; send one.",
            param="conversation",
        )
    if request.reasoning is not None:
        if request.reasoning.context not in (None, "auto"):
            refuse("reasoning.context", "is available only as 'auto'.")
        if request.reasoning.mode not in (None, "standard"):
            refuse("reasoning.mode", "is available only as 'standard'.")


def conversation_id(request: PromptParameters) -> str | None:
    """The conversation that is gone on with, in either form."""
    given = request.conversation
    return given if given is None or isinstance(given, str) else given.id


def with_instructions(request: PromptParameters, turns: Sequence[ReadTurn]) -> list[ReadTurn]:
    """The turns, the instructions first."""
    if request.instructions is None:
        return [*turns]
    return [ReadTurn(Message("system", request.instructions), ()), *turns]


def to_chat_prompt(
    request: PromptParameters, turns: Sequence[ReadTurn], offer: ToolOffer
) -> ChatPrompt:
    """The conversation. Raises InvalidRequestError where there is none."""
    messages = tuple(turn.message for turn in turns)
    if not messages:
        raise InvalidRequestError("Send 'input': there is nothing to answer.", param="input")
    return ChatPrompt(messages, _template_variables(request), offer.offered.specs)


def to_generation_request(
    request: CreateResponse, prompt: ChatPrompt, offer: ToolOffer, defaults: GenerationDefaults
) -> GenerationRequest:
    """What is asked of the model. Raises InvalidRequestError, MissingParameterError."""
    return GenerationRequest(
        prompt=prompt,
        max_tokens=to_max_tokens(
            {"max_output_tokens": request.max_output_tokens}, defaults.max_tokens
        ),
        sampling=to_sampling(request, defaults, 0),
        top_logprobs=_top_logprobs(request),
        tool_choice=offer.choice,
        ignore_eos=bool(request.ignore_eos),
        output_format=_output_format(request),
        reasoning_budget=_reasoning_budget(request),
        retention=request.prompt_cache_retention,
    )


def wants_logprobs(request: CreateResponse) -> bool:
    return _LOGPROBS in (request.include or ()) or bool(request.top_logprobs)


def wants_summary(request: PromptParameters) -> bool:
    """Whether the thought is shown as a summary. Raises InvalidRequestError for two of them."""
    options = request.reasoning
    if options is None:
        return False
    return bool(
        same_meaning(
            "reasoning.summary",
            options.summary,
            "reasoning.generate_summary",
            options.generate_summary,
        )
    )


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What is known of a response before it is made. `created_at` is in Unix seconds."""

    id: str
    created_at: int
    model: str
    is_stored: bool


def to_response(
    request: CreateResponse, head: ResponseHead, asked: GenerationRequest, offer: ToolOffer
) -> ResponseObject:
    """The response before anything has been said."""
    conversation = conversation_id(request)
    response = ResponseObject(
        id=head.id,
        object="response",
        created_at=head.created_at,
        completed_at=None,
        status="queued" if request.is_background else "in_progress",
        background=request.is_background,
        error=None,
        incomplete_details=None,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        model=head.model,
        output=[],
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        conversation=None if conversation is None else ResponseConversation(id=conversation),
        prompt_cache_key=request.prompt_cache_key,
        safety_identifier=request.safety_identifier,
        reasoning=_wire_reasoning(request),
        service_tier="default",
        store=head.is_stored,
        temperature=asked.sampling.temperature,
        text=_wire_text(request),
        tool_choice=_wire_tool_choice(request),
        tools=offer.wire,
        top_logprobs=request.top_logprobs or 0,
        top_p=asked.sampling.top_p,
        truncation=request.truncation or "disabled",
        usage=None,
        metadata=dict(request.metadata or {}),
    )
    if request.user is not None:
        response.user = request.user
    return response


def own_names() -> AbstractContextManager[None]:
    """Errors that leave the block name parameters as this resource does."""
    return renamed(_CHAT_NAMES)


def _output_format(request: PromptParameters) -> OutputFormat | None:
    wanted = None if request.text is None else request.text.format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return JSONFormat(_ANY_OBJECT)
    required(wanted.name, "text.format.name")
    return JSONFormat(required(wanted.schema_, "text.format.schema"))


def _template_variables(request: PromptParameters) -> dict[str, JSON]:
    """What the template is given by name. The backend refuses a name its template does not use."""
    variables: dict[str, JSON] = {}
    if request.reasoning is not None and request.reasoning.effort is not None:
        variables["reasoning_effort"] = request.reasoning.effort
    if request.text is not None and request.text.verbosity is not None:
        variables["verbosity"] = request.text.verbosity
    return variables


def _reasoning_budget(request: PromptParameters) -> int | None:
    budget = None if request.reasoning is None else request.reasoning.max_tokens
    return None if budget == -1 else budget


def _top_logprobs(request: CreateResponse) -> int | None:
    return (request.top_logprobs or 0) if wants_logprobs(request) else None


def _wire_reasoning(request: PromptParameters) -> dict[str, JSON]:
    options = request.reasoning
    if options is None:
        return {"effort": None, "summary": None}
    return {"effort": options.effort, "summary": options.summary or options.generate_summary}


def _wire_text(request: PromptParameters) -> dict[str, Any]:
    format_: dict[str, Any] = {"type": "text"}
    options = request.text
    if options is not None and options.format is not None:
        format_ = options.format.model_dump(by_alias=True, exclude_unset=True)
    wire: dict[str, Any] = {"format": format_}
    if options is not None and options.verbosity is not None:
        wire["verbosity"] = options.verbosity
    return wire


def _wire_tool_choice(request: PromptParameters) -> str | dict[str, Any]:
    choice = request.tool_choice
    if choice is None:
        return "auto"
    return choice if isinstance(choice, str) else choice.model_dump(exclude_unset=True)
