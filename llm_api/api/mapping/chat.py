"""Chat, wire to domain: a conversation becomes one generation request per choice. Pure.

Chat is too large for one file of mapping: its tools are in `tools`, its answer in `chat_answers`.
"""

from collections.abc import Mapping, Sequence

from llm_api.api.mapping.generation import (
    check_stream_options,
    one_of,
    refuse,
    required,
    same_meaning,
    to_adapters,
    to_guided_format,
    to_max_tokens,
    to_sampling,
    to_stop,
)
from llm_api.api.mapping.options import with_options
from llm_api.api.mapping.reasoning import to_reasoning_budget, to_variables
from llm_api.api.mapping.tools import to_tools
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.api.models.messages import ChatMessage
from llm_api.core.errors import InvalidRequestError
from llm_api.core.functions.types import Function
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    OutputFormat,
    Role,
    ToolCall,
)

_ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

_ANY_OBJECT: Mapping[str, JSON] = {"type": "object"}
_NEVER = "is not available on this server."
_REFUSED = ("audio", "web_search_options", "moderation")


def to_chat_requests(
    request: ChatCompletionRequest,
    defaults: GenerationDefaults,
    functions: Sequence[Function] = (),
) -> list[GenerationRequest]:
    """One generation request per choice; the server's own `functions` are among its tools.

    Raises UnsupportedParameterError for what is not honoured, InvalidRequestError for what
    contradicts itself; both name the parameter.
    """
    request = with_options(request)
    _check_parameters(request)
    check_stream_options(request)
    tools = to_tools(request, functions)
    prompt = ChatPrompt(to_messages(request.messages), to_variables(request), tools.specs)
    max_tokens = to_max_tokens(
        {
            name: getattr(request, name)
            for name in ("max_completion_tokens", "max_tokens", "n_predict")
        },
        defaults.max_tokens,
    )
    return [
        GenerationRequest(
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=to_sampling(request, defaults, choice),
            stop=to_stop(request.stop),
            top_logprobs=_top_logprobs(request),
            ignore_eos=bool(request.ignore_eos),
            tool_choice=tools.choice,
            output_format=_output_format(request),
            reasoning_budget=to_reasoning_budget(request),
            adapters=to_adapters(request.lora),
            retention=request.prompt_cache_retention,
        )
        for choice in range(request.choices_per_prompt)
    ]


def to_messages(messages: list[ChatMessage]) -> tuple[Message, ...]:
    """The turns as plain text. Raises UnsupportedParameterError, InvalidRequestError."""
    turns = tuple(
        _to_message(message, f"messages[{index}]") for index, message in enumerate(messages)
    )
    _check_results(messages, turns)
    return turns


def _check_results(messages: Sequence[ChatMessage], turns: Sequence[Message]) -> None:
    """Raises InvalidRequestError for the result of a call that no turn before it makes."""
    made: set[str] = set()
    for index, (message, turn) in enumerate(zip(messages, turns, strict=True)):
        made.update(call.id for call in turn.tool_calls)
        if turn.tool_call_id is None or turn.tool_call_id in made:
            continue
        path = f"messages[{index}].{'name' if message.role == 'function' else 'tool_call_id'}"
        raise InvalidRequestError(
            f"'{path}' is not that of a call which an assistant's message before it makes: a"
            " result must follow its call.",
            param=path,
        )


def _to_message(message: ChatMessage, path: str) -> Message:
    if message.audio not in (None, []):  # SDKs send earlier answers back, most fields null
        refuse(f"{path}.audio", _NEVER)
    calls = _calls(message, path)
    return Message(
        role=_ROLES[message.role],
        content=_content(message, path, has_calls=bool(calls)),
        name=message.name,
        tool_calls=calls,
        tool_call_id=_answered_call(message, path),
        reasoning=same_meaning(
            f"{path}.reasoning_content",
            message.reasoning_content,
            f"{path}.reasoning",
            message.reasoning,
        )
        or "",
    )


def _calls(message: ChatMessage, path: str) -> tuple[ToolCall, ...]:
    """The calls of a past answer, in either form."""
    if message.role != "assistant":
        return ()
    if message.function_call is not None:
        call = message.function_call
        return (ToolCall(_legacy_id(call.name), call.name, call.arguments),)
    calls = []
    for position, past in enumerate(message.tool_calls or []):
        place = f"{path}.tool_calls[{position}]"
        if past.type != "function":
            refuse(f"{place}.type", f"is '{past.type}': only functions can be called.")
        function = required(past.function, f"{place}.function")
        calls.append(ToolCall(past.id, function.name, function.arguments))
    return tuple(calls)


def _answered_call(message: ChatMessage, path: str) -> str | None:
    """The id of the call whose result this turn is; None where it is no result."""
    if message.role == "tool":
        return required(message.tool_call_id, f"{path}.tool_call_id")
    if message.role == "function":
        return _legacy_id(required(message.name, f"{path}.name"))
    return None


def _legacy_id(name: str) -> str:
    """Calls of the older form have no id; their results name the function."""
    return f"call_{name}"


def _content(message: ChatMessage, path: str, *, has_calls: bool) -> str:
    """What a turn says. An earlier answer may be calls alone, or a refusal, which it said."""
    if message.content is None and message.role == "assistant":
        if message.refusal is not None:
            return message.refusal
        if has_calls:
            return ""
    return _text(message, path)


def _text(message: ChatMessage, path: str) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = required(message.content, f"{path}.content")
    texts = []
    for index, part in enumerate(parts):
        part_path = f"{path}.content[{index}]"
        if part.type == "refusal" and message.role == "assistant":
            texts.append(required(part.refusal, f"{part_path}.refusal"))
            continue
        if part.type != "text":
            refuse(f"{part_path}.type", f"is '{part.type}': this server's models read text only.")
        texts.append(required(part.text, f"{part_path}.text"))
    return "".join(texts)


def _output_format(request: ChatCompletionRequest) -> OutputFormat | None:
    """What the answer must look like. Raises InvalidRequestError for two demands at once."""
    guided = to_guided_format(request)
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return guided
    if guided is not None:
        raise InvalidRequestError(
            "'response_format' and another constraint of the answer cannot both hold; send one.",
            param="response_format",
        )
    if wanted.type == "json_object":
        return JSONFormat(wanted.schema_ or _ANY_OBJECT)
    named = required(wanted.json_schema, "response_format.json_schema")
    return JSONFormat(named.schema_ or _ANY_OBJECT)


def _top_logprobs(request: ChatCompletionRequest) -> int | None:
    named = {"top_logprobs": request.top_logprobs, "n_probs": request.n_probs or None}
    if request.logprobs or (request.n_probs and request.logprobs is None):
        return one_of(named) or 0
    if request.top_logprobs is not None:
        raise InvalidRequestError(
            "'top_logprobs' is only allowed when 'logprobs' is true.", param="top_logprobs"
        )
    return None


def _check_parameters(request: ChatCompletionRequest) -> None:
    """Raises UnsupportedParameterError for the first parameter that is not honoured."""
    for name in _REFUSED:
        if getattr(request, name) is not None:
            refuse(name, _NEVER)
    if request.modalities not in (None, ["text"]):
        refuse("modalities", "is available only as ['text'].")
    if request.rag is not None and request.server_tools is not None:
        refuse("server_tools", "is not available together with 'rag'.")
