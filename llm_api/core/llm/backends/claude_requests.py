"""A generation request in the words of Anthropic's Messages API: the body that is posted. Pure.

Source: the types of Anthropic's official client. The body leaves out parts that the protocol has no
place for: a participant's `name`, and past `reasoning`, which it takes only with its own signature.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Final

from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backends.claude_schema import native_schema
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.prompt.turns import read_arguments
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    Sampling,
    ToolChoice,
)

CAPABILITIES: Final = Capabilities(
    frozenset({"chat", "tools", "required_tools", "json", "reasoning_budget"}),
    frozenset({"temperature", "top_p", "top_k"}),
)

MAX_TEMPERATURE: Final = 1.0

DEFAULT_MAX_TOKENS: Final = 4096
"""This protocol asks for a bound; every model of it takes this one."""

LEAST_BUDGET: Final = 1024
"""Tokens of thinking that this protocol takes at least."""

_EFFORTS: Final[Mapping[JSON, JSON]] = {
    "minimal": "low",
    **{effort: effort for effort in ("low", "medium", "high", "xhigh", "max")},
}


def reads_variable(name: str, value: JSON) -> bool:
    """Whether this says how a model thinks: the switch, or an effort."""
    if name == "reasoning_effort":
        return isinstance(value, str) and (value in _EFFORTS or value == "none")
    return name == "enable_thinking" and isinstance(value, bool)


def to_body(request: GenerationRequest, model: str) -> dict[str, JSON]:
    """The body of a streamed request. Raises UnsupportedParameterError, InvalidRequestError."""
    if not isinstance(request.prompt, ChatPrompt):
        raise _refusal("prompt", "'prompt' as raw text")
    messages = request.prompt.messages
    leading = list(takewhile(lambda message: message.role == "system", messages))
    body: dict[str, JSON] = {
        "model": model,
        "max_tokens": DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens,
        "messages": _turns(messages[len(leading) :]),
        "stream": True,
        **_sampling(request.sampling),
        **_tools(request, messages),
    }
    system: list[JSON] = [_text(message.content) for message in leading if message.content]
    if system:
        body["system"] = system
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    thinking = _budgeted(request) or _thinking(request.prompt.variables)
    return body | thinking | _output_config(request, request.prompt)


def _turns(messages: Sequence[Message]) -> list[JSON]:
    """Turns of alternating roles.

    A system message after the first turn stays a system message in its place: models before Opus
    4.8 refuse it there, and say so.
    """
    turns: list[tuple[str, list[JSON]]] = []
    for message in messages:
        role = "user" if message.role == "tool" else message.role
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        turns[-1][1].extend(_blocks(message))
    return [{"role": role, "content": blocks} for role, blocks in turns]


def _blocks(message: Message) -> Iterator[JSON]:
    if message.role == "tool":
        yield {
            "type": "tool_result",
            "tool_use_id": message.tool_call_id,
            "content": message.content,
        }
        return
    if message.content:  # empty blocks are refused
        yield _text(message.content)
    for call in message.tool_calls:
        yield {
            "type": "tool_use",
            "id": call.id,
            "name": call.name,
            "input": read_arguments(call.arguments),
        }


def _text(text: str) -> dict[str, JSON]:
    return {"type": "text", "text": text}


def _sampling(sampling: Sampling) -> dict[str, JSON]:
    """What differs from Claude's defaults, which are ours: newer models refuse all of it."""
    if sampling.temperature > MAX_TEMPERATURE:
        raise _refusal("temperature", f"'temperature' above {MAX_TEMPERATURE:g}")
    default = Sampling()
    return {
        name: getattr(sampling, name)
        for name in sorted(CAPABILITIES.sampling)
        if getattr(sampling, name) != getattr(default, name)
    }


def _tools(request: GenerationRequest, messages: Sequence[Message]) -> dict[str, JSON]:
    if request.tool_choice is not None:
        tools: list[JSON] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.schema,
            }
            for tool in request.callable_tools
        ]
        return {"tools": tools, "tool_choice": _choice(request.tool_choice)}
    # Calls in a history are refused where no tool is defined.
    past = dict.fromkeys(call.name for message in messages for call in message.tool_calls)
    if not past:
        return {}
    return {
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in past],
        "tool_choice": {"type": "none"},
    }


def _choice(choice: ToolChoice) -> dict[str, JSON]:
    chosen: dict[str, JSON]
    match choice:
        case ToolChoice(mode="auto"):
            chosen = {"type": "auto"}
        case ToolChoice(allowed=allowed) if len(allowed) == 1:
            chosen = {"type": "tool", "name": next(iter(allowed))}
        case _:
            chosen = {"type": "any"}
    return chosen if choice.is_parallel else {**chosen, "disable_parallel_tool_use": True}


def _thinking(variables: Mapping[str, JSON]) -> dict[str, JSON]:
    """The switch `enable_thinking`; the effort `none` is off."""
    if variables.get("reasoning_effort") == "none":
        return {"thinking": {"type": "disabled"}}
    match variables.get("enable_thinking"):
        case None:
            return {}
        case False:
            return {"thinking": {"type": "disabled"}}
        case _:
            return {"thinking": {"type": "adaptive", "display": "summarized"}}


def _budgeted(request: GenerationRequest) -> dict[str, JSON]:
    """A budget is at least LEAST_BUDGET, and less than the answer's bound."""
    budget = request.reasoning_budget
    if budget is None:
        return {}
    if not budget:
        return {"thinking": {"type": "disabled"}}
    most = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    if not LEAST_BUDGET <= budget < most:
        raise InvalidRequestError(
            f"With this model's backend a reasoning budget is 0, or at least {LEAST_BUDGET} and"
            f" less than the {most} tokens of the answer.",
            param="reasoning_budget",
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _output_config(request: GenerationRequest, prompt: ChatPrompt) -> dict[str, JSON]:
    config: dict[str, JSON] = {}
    if (effort := prompt.variables.get("reasoning_effort")) in _EFFORTS:
        config["effort"] = _EFFORTS[effort]
    if isinstance(request.output_format, JSONFormat):
        schema = native_schema(request.output_format.schema)
        config["format"] = {"type": "json_schema", "schema": schema}
    return {"output_config": config} if config else {}


def _refusal(param: str, what: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"{what} is not available with this model's backend.", param=param
    )
