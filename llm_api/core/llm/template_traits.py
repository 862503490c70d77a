"""What a chat template can do with functions, found out by rendering small conversations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from llm_api.core.llm.types import JSON

Fields: TypeAlias = dict[str, JSON]
Render: TypeAlias = Callable[[Sequence[Fields], Sequence[Fields]], str | None]
"""Renders messages and tools; None where the template refuses or fails."""

_NAME: Final = "probe_function"
_OTHER: Final = "second_function"
_KEY: Final = "probe_key"
_VALUE: Final = "probe value"
_RESULT: Final = "probe result"
_SYSTEM: Final = "probe system"

SHORT_ID_LENGTH: Final = 9
"""Mistral's templates demand call ids of nine letters and digits."""


@dataclass(frozen=True, slots=True)
class CallTraits:
    """How calls must be handed to a template that writes them itself."""

    empty_content: str | None = ""
    arguments_as_text: bool = False
    has_short_ids: bool = False
    takes_several: bool = True


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What a template does by itself; `calls` None where it leaves calls out."""

    takes_system: bool
    lists_tools: bool
    wraps_tools: bool
    calls: CallTraits | None
    writes_results: bool


def tool_fields(name: str, description: str, parameters: JSON, *, is_wrapped: bool) -> Fields:
    """A tool as OpenAI writes it, or the bare function."""
    function: Fields = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function} if is_wrapped else function


def call_fields(call_id: str, name: str, arguments: JSON) -> Fields:
    """A call in an assistant's message, as OpenAI writes it."""
    function: JSON = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def find_traits(render: Render) -> TemplateTraits:
    """Probe a template. Takes some milliseconds."""
    user: Fields = {"role": "user", "content": "probe"}
    lists = {
        is_wrapped: _shows(render([user], [_tool(is_wrapped=is_wrapped)]), _NAME)
        for is_wrapped in (True, False)
    }
    wraps_tools = lists[True] or not lists[False]
    calls, with_result = _call_traits(render, [_tool(is_wrapped=wraps_tools)])
    answered: list[Fields] = [user, {"role": "assistant", "content": "probe"}, _result("")]
    lists_tools = any(lists.values())
    return TemplateTraits(
        takes_system=_shows(render([{"role": "system", "content": _SYSTEM}, user], []), _SYSTEM),
        lists_tools=lists_tools,
        wraps_tools=wraps_tools,
        calls=calls,
        writes_results=with_result
        or (calls is None and lists_tools and _shows(render(answered, []), _RESULT)),
    )


def _call_traits(render: Render, tools: Sequence[Fields]) -> tuple[CallTraits | None, bool]:
    """How calls must be handed in, and whether results are written as well."""
    for has_result, short, empty, as_text in product(
        (True, False), (False, True), ("", None), (False, True)
    ):
        traits = CallTraits(empty, as_text, short)
        if _writes_calls(render, traits, tools, [_NAME], has_result=has_result):
            several = _writes_calls(render, traits, tools, [_NAME, _OTHER], has_result=has_result)
            return CallTraits(empty, as_text, short, several), has_result
    return None, False


def _writes_calls(
    render: Render,
    traits: CallTraits,
    tools: Sequence[Fields],
    names: Sequence[str],
    *,
    has_result: bool,
) -> bool:
    arguments: JSON = {_KEY: _VALUE}
    if traits.arguments_as_text:
        arguments = f'{{"{_KEY}": "{_VALUE}"}}'
    ids = [
        f"probe{number:04}" if traits.has_short_ids else f"call_probe_{number}"
        for number in range(len(names))
    ]
    calls: list[JSON] = [
        call_fields(call_id, name, arguments) for call_id, name in zip(ids, names, strict=True)
    ]
    messages: list[Fields] = [
        {"role": "user", "content": "probe"},
        {"role": "assistant", "content": traits.empty_content, "tool_calls": calls},
        *([_result(call_id) for call_id in ids] if has_result else ()),
    ]
    text = render(messages, tools)
    if text is None:
        return False
    without = render(messages[:1], tools) or ""

    def adds(part: str) -> int:
        return text.count(part) - without.count(part)

    return (
        all(adds(name) > 0 for name in names)
        and adds(_VALUE) == len(names)
        and (not has_result or _RESULT in text)
        and not any(adds(wrong) for wrong in (f"'{_KEY}'", f'\\"{_KEY}'))
    )


def _tool(*, is_wrapped: bool) -> Fields:
    parameters: JSON = {
        "type": "object",
        "properties": {_KEY: {"type": "string", "description": "probe"}},
        "required": [_KEY],
    }
    return tool_fields(_NAME, "probe", parameters, is_wrapped=is_wrapped)


def _result(call_id: str) -> Fields:
    return {"role": "tool", "content": _RESULT, "tool_call_id": call_id, "name": _NAME}


def _shows(text: str | None, part: str) -> bool:
    return text is not None and part in text
