"""Ollama's chats and prompts, wire to domain. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic_core import to_json

from llm_api.api.mapping.generation import refuse, to_sampling, to_stop
from llm_api.api.mapping.tools import distinct_specs, to_spec
from llm_api.api.models.ollama.chat import (
    Format,
    OllamaChatRequest,
    OllamaGenerateRequest,
    OllamaGenerationRequest,
    PastCall,
    Think,
    Tool,
    Turn,
)
from llm_api.api.models.ollama.options import Options
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    FillInPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    Prompt,
    Role,
    TextPrompt,
    ToolCall,
    ToolChoice,
    ToolSpec,
)

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_ANY_OBJECT: Final[Mapping[str, JSON]] = {"type": "object"}
_BLIND: Final = "is not available: this server's models read text only."


def to_chat_generation(request: OllamaChatRequest, card: ModelCard) -> GenerationRequest:
    """The conversation. Raises UnsupportedParameterError, InvalidRequestError."""
    tools = _tools(request.tools or ())
    choice = ToolChoice("auto", frozenset(tool.name for tool in tools)) if tools else None
    prompt = ChatPrompt(to_turns(request.messages or ()), to_variables(request.think), tools)
    return _asked(request, card, prompt, choice)


def to_prompt_generation(request: OllamaGenerateRequest, card: ModelCard) -> GenerationRequest:
    """The prompt as a turn, as it stands if it is `raw`, or up to a gap. Raises as above."""
    if request.images:
        refuse("images", _BLIND)
    if request.context:
        refuse("context", "is not available: send the turns so far to /api/chat.")
    if request.template:
        refuse("template", "is not available: the model's own is used. `raw` uses none.")
    return _asked(request, card, _prompt(request))


def _prompt(request: OllamaGenerateRequest) -> Prompt:
    text = request.prompt or ""
    if request.suffix:
        return FillInPrompt(text, request.suffix)
    if request.raw:
        return TextPrompt(text)
    system = (Message("system", request.system),) if request.system else ()
    return ChatPrompt((*system, Message("user", text)), to_variables(request.think))


def _asked(
    request: OllamaGenerationRequest,
    card: ModelCard,
    prompt: Prompt,
    tool_choice: ToolChoice | None = None,
) -> GenerationRequest:
    options = request.options or Options()
    if options.seed is not None and options.seed < 0:
        options = options.model_copy(update={"seed": None})  # Ollama's way to say: any
    return GenerationRequest(
        prompt=prompt,
        max_tokens=_max_tokens(options, card),
        sampling=to_sampling(options, card.defaults, 0),
        stop=to_stop(options.stop),
        top_logprobs=_top_logprobs(request),
        ignore_eos=bool(options.ignore_eos),
        retention=options.prompt_cache_retention,
        tool_choice=tool_choice,
        output_format=_output_format(request.format),
    )


def ignored_options(request: OllamaGenerationRequest, card: ModelCard) -> list[str]:
    """The options that ask for more than there is: a context that is larger than the model's."""
    wanted = None if request.options is None else request.options.num_ctx
    is_more = (
        wanted is not None and card.context_length is not None and wanted > card.context_length
    )
    return ["num_ctx"] if is_more else []


def _max_tokens(options: Options, card: ModelCard) -> int | None:
    if options.num_predict is None:
        return card.defaults.max_tokens
    return options.num_predict if options.num_predict > 0 else None


def _output_format(wanted: Format | None) -> JSONFormat | None:
    if not wanted:
        return None
    return JSONFormat(_ANY_OBJECT if wanted == "json" else wanted)


def _top_logprobs(request: OllamaGenerationRequest) -> int | None:
    return (request.top_logprobs or 0) if request.logprobs else None


def to_variables(think: Think | None) -> dict[str, JSON]:
    """What templates call it. A model that does not think reads neither."""
    match think:
        case None:
            return {}
        case bool():
            return {"enable_thinking": think}
        case "true" | "false":
            return {"enable_thinking": think == "true"}
        case effort:
            return {"enable_thinking": True, "reasoning_effort": effort}


def _tools(tools: Sequence[Tool]) -> tuple[ToolSpec, ...]:
    for index, tool in enumerate(tools):
        if tool.type not in (None, "function"):
            refuse(f"tools[{index}].type", f"is '{tool.type}': only functions can be called.")
    return distinct_specs(
        [to_spec(tool.function, f"tools[{index}].function") for index, tool in enumerate(tools)]
    )


def to_turns(messages: Sequence[Turn]) -> tuple[Message, ...]:
    """The turns. Calls and results without an id are matched by name, then by order."""
    open_calls = _OpenCalls()
    return tuple(
        _turn(message, f"messages[{index}]", open_calls) for index, message in enumerate(messages)
    )


@dataclass(slots=True)
class _OpenCalls:
    """The calls so far that have no result yet. `made` counts all of them."""

    calls: list[ToolCall] = field(default_factory=list)
    made: int = 0

    def add(self, past: Sequence[PastCall]) -> Iterator[ToolCall]:
        for call in past:
            id = call.id or f"call_{self.made}"
            self.made += 1
            arguments = to_json(call.function.arguments or {}).decode()
            made = ToolCall(id, call.function.name, arguments)
            self.calls.append(made)
            yield made

    def answered(self, turn: Turn, path: str) -> ToolCall:
        """The call whose result this turn is. Raises InvalidRequestError where there is none."""
        name = turn.tool_name or turn.name
        for fits in (
            lambda call: call.id == turn.tool_call_id,
            lambda call: call.name == name,
            lambda _: turn.tool_call_id is None,
        ):
            for call in self.calls:
                if fits(call):
                    self.calls.remove(call)
                    return call
        raise InvalidRequestError(
            f"'{path}' is the result of no call: it must follow an assistant's message whose"
            " `tool_calls` make it.",
            param=path,
        )


def _turn(turn: Turn, path: str, open_calls: _OpenCalls) -> Message:
    if turn.images:
        refuse(f"{path}.images", _BLIND)
    content = turn.content or ""
    if turn.role == "tool":
        call = open_calls.answered(turn, path)
        return Message("tool", content, name=call.name, tool_call_id=call.id)
    if turn.role != "assistant":
        return Message(_ROLES[turn.role], content)
    calls = tuple(open_calls.add(turn.tool_calls or ()))
    return Message("assistant", content, tool_calls=calls, reasoning=turn.thinking or "")
