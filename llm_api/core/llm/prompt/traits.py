"""What a chat template can do, found out by rendering small conversations."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
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
_WORDS: Final = ("firstprobe", "secondprobe")
_ROLES: Final = ("system", "user", "assistant", "tool")

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
class TurnTraits:
    """Which turns a template takes as they come, without a refusal and without a word lost.

    `joined` are roles of which no two turns may stand in a row, `in_parts` those whose text it
    wants as a list of parts.
    """

    takes_system: bool = True
    takes_system_alone: bool = True
    takes_several_systems: bool = True
    takes_late_system: bool = True
    joined: frozenset[str] = frozenset()
    in_parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What a template does by itself; `calls` None where it leaves calls out."""

    turns: TurnTraits
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


def in_parts(turns: Sequence[Fields], roles: Collection[str]) -> list[Fields]:
    """The text of turns of these roles as OpenAI writes it in parts."""
    return [
        {**turn, "content": [{"type": "text", "text": turn["content"]}]}
        if turn["role"] in roles and isinstance(turn["content"], str)
        else turn
        for turn in turns
    ]


def find_traits(render: Render) -> TemplateTraits:
    """Probe a template. Takes some milliseconds.

    Raises ValueError for one that leaves out what the user says, however it is handed in.
    """
    roles = _roles_in_parts(render)
    if roles:
        given = render
        render = lambda messages, tools: given(in_parts(messages, roles), tools)  # noqa: E731
    turns = replace(_turn_traits(render), in_parts=roles)
    user = _turn("user", "probe")
    lists = {
        is_wrapped: _shows(render([user], [_tool(is_wrapped=is_wrapped)]), _NAME)
        for is_wrapped in (True, False)
    }
    wraps_tools = lists[True] or not lists[False]
    calls, with_result = _call_traits(render, [_tool(is_wrapped=wraps_tools)])
    answered: list[Fields] = [user, _turn("assistant", "probe"), _result("")]
    lists_tools = any(lists.values())
    return TemplateTraits(
        turns=turns,
        lists_tools=lists_tools,
        wraps_tools=wraps_tools,
        calls=calls,
        writes_results=with_result
        or (calls is None and lists_tools and _shows(render(answered, []), _RESULT)),
    )


def _roles_in_parts(render: Render) -> frozenset[str]:
    """Roles whose text a template leaves out where it is a string, and shows where it is parts."""
    wanted = set()
    for role in _ROLES:
        others = [] if role == "user" else [_turn("user", "probe")]
        place = 0 if role == "system" else len(others)
        messages = [*others[:place], _turn(role, _WORDS[0]), *others[place:]]
        text, as_parts = render(messages, []), render(in_parts(messages, {role}), [])
        if _shows(as_parts, _WORDS[0]) and not _shows(text, _WORDS[0]):
            wanted.add(role)
        elif role == "user" and text is not None and not _shows(text, _WORDS[0]):
            raise ValueError("it leaves out what the user says")
    return frozenset(wanted)


def _turn_traits(render: Render) -> TurnTraits:
    user, answer = _turn("user", "userprobe"), _turn("assistant", "answerprobe")
    first, second = (_turn("system", words) for words in _WORDS)

    def takes(*messages: Fields) -> bool:
        """Whether every word of a conversation is there, that of the last turns above all."""
        text = render(messages, [])
        return all(_shows(text, str(turn["content"])) for turn in messages)

    if not takes(user):  # it wants more than is known here: nothing can be said of it
        return TurnTraits()
    repeated = {
        "user": [_turn("user", words) for words in _WORDS],
        "assistant": [user, *(_turn("assistant", words) for words in _WORDS), user],
    }
    takes_system = takes(first, user)
    return TurnTraits(
        takes_system=takes_system,
        takes_system_alone=takes_system and takes(first),
        takes_several_systems=takes_system and takes(first, second, user),
        takes_late_system=takes_system
        and takes(first, user, answer, second, user)
        and takes(first, user, answer, user, second),
        joined=frozenset(role for role, turns in repeated.items() if not takes(*turns)),
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
        _turn("user", "probe"),
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


def _turn(role: str, content: str) -> Fields:
    return {"role": role, "content": content}


def _shows(text: str | None, part: str) -> bool:
    return text is not None and part.casefold() in text.casefold()
