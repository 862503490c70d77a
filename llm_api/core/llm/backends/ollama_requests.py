"""A generation request in Ollama's words: what is posted, and where to. Pure.

Source: docs/api.md and api/types.go of Ollama 0.12 and later. A participant's `name` has no place
in that protocol and is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.capabilities import Capabilities, check_no_files
from llm_api.core.llm.prompt.turns import read_arguments
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    FillInPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    Sampling,
    TextPrompt,
    TokenPrompt,
)

CAPABILITIES: Final = Capabilities(
    frozenset({"chat", "text", "fill_in", "tools", "json"}),
    frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "typical_p",
            "repeat_penalty",
            "repeat_last_n",
            "presence_penalty",
            "frequency_penalty",
            "seed",
        }
    ),
)
"""All of its sampling. It has no `logit_bias`, and no way to demand a call."""

_EFFORTS: Final[Mapping[JSON, JSON]] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
}


def reads_variable(name: str, value: JSON) -> bool:
    """Whether this says how a model thinks: the switch, or an effort."""
    if name == "reasoning_effort":
        return isinstance(value, str) and value in _EFFORTS
    return name == "enable_thinking" and isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model as Ollama is asked for it. `context_length` None leaves it to Ollama."""

    name: str
    context_length: int | None = None


def to_body(request: GenerationRequest, model: OllamaModel) -> tuple[str, dict[str, JSON]]:
    """The path and the body. Raises InvalidRequestError, UnsupportedParameterError."""
    if request.max_tokens == 0:  # Ollama takes 0 for "no limit"
        raise InvalidRequestError(
            "'max_tokens' must be at least 1 with this model's backend.", param="max_tokens"
        )
    path, asked = _asked(request)
    body: dict[str, JSON] = {
        "model": model.name,
        "stream": True,
        # A prompt or an answer that is too long is an error; else Ollama would drop the beginning.
        "truncate": False,
        "shift": False,
        **asked,
        "options": _options(request, model),
    }
    if isinstance(request.output_format, JSONFormat):
        body["format"] = dict(request.output_format.schema)
    return path, body


def _asked(request: GenerationRequest) -> tuple[str, dict[str, JSON]]:
    match request.prompt:
        case ChatPrompt(messages=messages, variables=variables):
            asked: dict[str, JSON] = {"messages": list(_messages(messages))}
            if tools := _tools(request):
                asked["tools"] = tools
            return "api/chat", asked | _think(variables)
        case TextPrompt(text=text):
            return "api/generate", {"prompt": text, "raw": True}
        case FillInPrompt(prefix=prefix, suffix=suffix) as prompt:
            check_no_files(prompt)
            return "api/generate", {"prompt": prefix, "suffix": suffix}
        case TokenPrompt():
            raise UnsupportedParameterError(
                "'prompt' as token ids is not available with this model's backend.", param="prompt"
            )
        case other:
            assert_never(other)


def _messages(messages: tuple[Message, ...]) -> Iterator[JSON]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    for message in messages:
        turn: dict[str, JSON] = {"role": message.role, "content": message.content}
        if message.reasoning:
            turn["thinking"] = message.reasoning
        if message.tool_calls:
            turn["tool_calls"] = [
                {
                    "id": call.id,
                    "function": {"name": call.name, "arguments": read_arguments(call.arguments)},
                }
                for call in message.tool_calls
            ]
        if message.tool_call_id is not None:
            turn["tool_call_id"] = message.tool_call_id
            turn["tool_name"] = message.name or names.get(message.tool_call_id, "")
        yield turn


def _tools(request: GenerationRequest) -> list[JSON]:
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            },
        }
        for tool in request.callable_tools
    ]


def _think(variables: Mapping[str, JSON]) -> dict[str, JSON]:
    """`think` from what others call it; the effort says more than the switch."""
    if "reasoning_effort" in variables:
        return {"think": _EFFORTS[variables["reasoning_effort"]]}
    return {"think": variables["enable_thinking"]} if "enable_thinking" in variables else {}


_WITHOUT_END: Final = -1
"""As many tokens as the context has room for."""


def _options(request: GenerationRequest, model: OllamaModel) -> dict[str, JSON]:
    """Every option in full: Ollama fills in its own defaults for options left out."""
    sampling: Sampling = request.sampling
    options: dict[str, JSON] = {
        name: getattr(sampling, name) for name in sorted(CAPABILITIES.sampling - {"seed"})
    }
    options["num_predict"] = _WITHOUT_END if request.max_tokens is None else request.max_tokens
    options["stop"] = list(request.stop)
    if sampling.seed is not None:
        options["seed"] = sampling.seed
    if model.context_length is not None:
        options["num_ctx"] = model.context_length
    return options
