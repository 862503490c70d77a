"""A generation request in OpenAI's words, as one kind of server understands them. Pure.

Knows no HTTP. The kind's capabilities have refused before anything that it cannot do at all.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import assert_never

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.backends.openai_flavours import Fields, Flavour
from llm_api.core.llm.capabilities import SWITCHES, check_no_files
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    FillInPrompt,
    GenerationRequest,
    Message,
    Sampling,
    TextPrompt,
    TokenPrompt,
    ToolCall,
    ToolChoice,
    ToolSpec,
)


def to_wire(request: GenerationRequest, model: str, flavour: Flavour) -> tuple[str, Fields]:
    """The path below the base URL, and the body. Always asks for a stream, and for the usage.

    Control tokens in a text to continue stay text with OpenAI; the engines read them as tokens.
    Raises UnsupportedParameterError.
    """
    body: Fields = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(request.sampling, flavour),
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.ignore_eos:
        body["ignore_eos"] = True
    if request.reasoning_budget is not None and flavour.reasoning_budget is not None:
        body[flavour.reasoning_budget] = request.reasoning_budget
    match request.prompt:
        case ChatPrompt() as prompt:
            return "chat/completions", body | _chat(prompt, request, flavour)
        case TextPrompt(text):
            return "completions", body | {"prompt": text} | _completion(request, flavour)
        case TokenPrompt(tokens):
            return "completions", body | {"prompt": list(tokens)} | _completion(request, flavour)
        case FillInPrompt(prefix=prefix, suffix=suffix) as prompt:
            check_no_files(prompt)
            texts: Fields = {"prompt": prefix, "suffix": suffix}
            return "completions", body | texts | _completion(request, flavour)
        case other:
            assert_never(other)


def _sampling(sampling: Sampling, flavour: Flavour) -> Fields:
    """An engine gets every value, since its defaults differ; OpenAI gets what is not off.

    What only says how another value works is sent where it is not the usual: an engine may refuse
    even that as long as the other is off.

    Its reasoning models take no `top_p`, and `temperature` only as 1.
    """
    off = Sampling()
    values: Fields = {"temperature": sampling.temperature}
    for name in (field.name for field in fields(Sampling) if field.name in flavour.sampling):
        value = getattr(sampling, name)
        is_owed = flavour.is_engine and value is not None and name not in SWITCHES
        if is_owed or value != getattr(off, name):
            values[flavour.sampling[name]] = list(value) if isinstance(value, tuple) else value
    if sampling.logit_bias:
        values["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias}
    return values


def _completion(request: GenerationRequest, flavour: Flavour) -> Fields:
    body: Fields = {} if request.max_tokens is None else {"max_tokens": request.max_tokens}
    if request.top_logprobs is not None:
        body["logprobs"] = max(request.top_logprobs, 1)
    if request.output_format is not None:
        if not flavour.is_engine:
            raise UnsupportedParameterError(
                "The parameter 'response_format' is available for conversations only.",
                param="response_format",
            )
        body |= flavour.output_format(request.output_format)
    return body


def _chat(prompt: ChatPrompt, request: GenerationRequest, flavour: Flavour) -> Fields:
    body: Fields = {"messages": [_message(message, flavour) for message in prompt.messages]}
    if request.max_tokens is not None:
        body[flavour.chat_max_tokens] = request.max_tokens
    if request.top_logprobs is not None:
        # llama-server takes 0 for none at all: what was not asked for is cut from the answer.
        body |= {"logprobs": True, "top_logprobs": max(request.top_logprobs, 1)}
    if request.output_format is not None:
        body |= flavour.output_format(request.output_format)
    return body | _variables(prompt, flavour) | _tools(prompt.tools, request.tool_choice, flavour)


def _variables(prompt: ChatPrompt, flavour: Flavour) -> Fields:
    if flavour.is_engine:
        return {"chat_template_kwargs": dict(prompt.variables)} if prompt.variables else {}
    return dict(prompt.variables)


def _message(message: Message, flavour: Flavour) -> JSON:
    wire: Fields = {"role": message.role, "content": message.content}
    if message.role == "tool":
        return wire | {"tool_call_id": message.tool_call_id}
    if message.name is not None:
        wire["name"] = message.name
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.reasoning and flavour.is_engine:
        wire["reasoning_content"] = message.reasoning
    return wire


def _call(call: ToolCall) -> JSON:
    function: JSON = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _tools(specs: Sequence[ToolSpec], choice: ToolChoice | None, flavour: Flavour) -> Fields:
    """Tools that may not be called are not sent, except to a server that knows `allowed_tools`.

    `parallel_tool_calls` is left out where it says nothing: OpenAI's reasoning models refuse it.
    """
    if not specs:
        return {}
    if choice is None:
        return {"tools": [_tool(spec, flavour) for spec in specs], "tool_choice": "none"}
    shown = [spec for spec in specs if flavour.knows_allowed_tools or spec.name in choice.allowed]
    is_narrowed = {spec.name for spec in shown} != choice.allowed
    body: Fields = {
        "tools": [_tool(spec, flavour) for spec in shown],
        "tool_choice": _narrowed(choice) if is_narrowed else choice.mode,
    }
    if flavour.is_engine or not choice.is_parallel:
        body["parallel_tool_calls"] = choice.is_parallel
    return body


def _tool(spec: ToolSpec, flavour: Flavour) -> JSON:
    function: Fields = {
        "name": spec.name,
        "description": spec.description,
        "parameters": dict(spec.parameters),
    }
    if spec.is_strict or flavour.follows_strict_tools:
        function["strict"] = True
    return {"type": "function", "function": function}


def _narrowed(choice: ToolChoice) -> JSON:
    allowed: list[JSON] = [
        {"type": "function", "function": {"name": name}} for name in sorted(choice.allowed)
    ]
    if choice.mode == "required" and len(allowed) == 1:
        return allowed[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": allowed}}
