"""Messages and tools as one template can take them; what it cannot write is written for it. Pure.

Turns that a template does not take are folded into those that it does:

1. A system turn that it refuses, or leaves out, stands at the beginning of the user's next turn;
   before an answer, or at the end, it becomes a user's turn.
2. Several system turns at the beginning become one, where it takes no more.
3. Turns of one role in a row become one, where it wants roles to alternate. One with calls stays.
4. Text becomes a list of one part, where it looks for parts.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final, TypeAlias

from pydantic_core import from_json

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.prompt.traits import (
    SHORT_ID_LENGTH,
    Fields,
    TemplateTraits,
    TurnTraits,
    call_fields,
    in_parts,
    tool_fields,
)
from llm_api.core.llm.types import JSON, ChatPrompt, Message, ToolCall, ToolSpec

Protect: TypeAlias = Callable[[JSON], JSON]
"""Replaces control tokens in text that a user wrote, so that a template cannot confuse them."""

_SECTION: Final = """\
# Tools

You may call one or more functions to help with the user's request.

These are the functions, within <tools></tools> tags:
<tools>
{tools}
</tools>

To call a function, answer with its name and its arguments like this:
{example}"""


class TurnWriter:
    """Lays out one prompt. All text that a user may have written goes through `protect`."""

    def __init__(self, traits: TemplateTraits, form: CallFormat, protect: Protect) -> None:
        """`form` is how calls are written where the template does not."""
        self._traits = traits
        self._form = form
        self._protect = protect

    def tools(self, prompt: ChatPrompt) -> list[JSON]:
        """What the template gets as `tools`."""
        if not self._traits.lists_tools:
            return []
        return [self._protect(self._tool(tool)) for tool in prompt.tools]

    def messages(self, prompt: ChatPrompt) -> list[Fields]:
        """What the template gets as `messages`."""
        names = {call.id: call.name for message in prompt.messages for call in message.tool_calls}
        turns: list[Fields] = []
        for message in self._split(prompt.messages):
            if message.role == "tool" and not self._traits.writes_results:
                _add_result(turns, self._text(message.content))
            elif message.role == "user" and turns and turns[-1].get("role") == _RESULTS:
                turns[-1] = _user(f"{turns[-1]['content']}\n{self._text(message.content)}")
            else:
                turns.append(self._turn(message, names))
        turns = [{**turn, "role": "user"} if turn["role"] == _RESULTS else turn for turn in turns]
        return fold(self._with_section(turns, prompt.tools), self._traits.turns)

    def _split(self, messages: Sequence[Message]) -> Iterable[Message]:
        """One call a turn, each with its results, where the template takes no more."""
        calls = self._traits.calls
        if calls is None or calls.takes_several:
            return messages
        split: list[Message] = []
        waiting: list[Message] = []
        for message in messages:
            if message.role != "tool":
                split += waiting
                first, *waiting = _one_call_each(message)
                split.append(first)
                continue
            ahead = [turn.tool_calls[0].id for turn in waiting]
            if message.tool_call_id in ahead:
                position = ahead.index(message.tool_call_id) + 1
                split, waiting = split + waiting[:position], waiting[position:]
            split.append(message)
        return split + waiting

    def _turn(self, message: Message, names: Mapping[str, str]) -> Fields:
        fields: Fields = {"role": message.role, "content": self._text(message.content)}
        if message.name is not None:
            fields["name"] = self._text(message.name)
        if message.role == "tool":
            call_id = message.tool_call_id or ""
            fields["tool_call_id"] = self._call_id(call_id)
            fields.setdefault("name", self._text(names.get(call_id, "")))
        if message.reasoning:
            fields["reasoning_content"] = self._text(message.reasoning)
            if not (message.content and message.tool_calls):  # gpt-oss refuses both
                fields["thinking"] = fields["reasoning_content"]
        if message.tool_calls:
            self._add_calls(fields, message.tool_calls)
        return fields

    def _add_calls(self, fields: Fields, calls: Sequence[ToolCall]) -> None:
        traits = self._traits.calls
        if traits is None:
            written = self._form.write(
                [(self._text(call.name), self._written(call)) for call in calls]
            )
            fields["content"] = f"{fields['content']}\n{written}" if fields["content"] else written
            return
        fields["content"] = fields["content"] or traits.empty_content
        fields["tool_calls"] = [
            call_fields(
                str(self._call_id(call.id)),
                self._text(call.name),
                self._protect(
                    call.arguments if traits.arguments_as_text else read_arguments(call.arguments)
                ),
            )
            for call in calls
        ]

    def _with_section(self, turns: list[Fields], tools: Sequence[ToolSpec]) -> list[Fields]:
        """Teach the functions and the notation to a model whose template does not."""
        if not tools or self._traits.lists_tools:
            return turns
        section = _SECTION.format(
            tools="\n".join(
                self._text(json.dumps(self._tool(tool), ensure_ascii=False)) for tool in tools
            ),
            example=self._form.write([("<function-name>", "<arguments-as-JSON-object>")]),
        )
        role = "system" if self._traits.turns.takes_system else "user"
        position = next((at for at, turn in enumerate(turns) if turn["role"] == role), None)
        if position is None or (role == "system" and position > 0):
            return [{"role": role, "content": section}, *turns]
        content = turns[position]["content"]
        parts = [content, section] if role == "system" else [section, content]
        turns[position] = {**turns[position], "content": "\n\n".join(map(str, filter(None, parts)))}
        return turns

    def _tool(self, tool: ToolSpec) -> Fields:
        return tool_fields(
            tool.name, tool.description, tool.schema, is_wrapped=self._traits.wraps_tools
        )

    def _written(self, call: ToolCall) -> str:
        return self._text(self._form.arguments.write(read_arguments(call.arguments)))

    def _call_id(self, call_id: str) -> JSON:
        calls = self._traits.calls
        if calls is None or not calls.has_short_ids or _is_short(call_id):
            return self._protect(call_id)
        return hashlib.sha256(call_id.encode()).hexdigest()[:SHORT_ID_LENGTH]

    def _text(self, text: str) -> str:
        return str(self._protect(text))


_RESULTS: Final = "results"
"""Stands for the role `user` while results may still be added."""


def _add_result(turns: list[Fields], content: str) -> None:
    written = f"<tool_response>\n{content}\n</tool_response>"
    if turns and turns[-1]["role"] == _RESULTS:
        written = f"{turns.pop()['content']}\n{written}"
    turns.append({"role": _RESULTS, "content": written})


def _user(content: str) -> Fields:
    return {"role": "user", "content": content}


def _one_call_each(message: Message) -> list[Message]:
    """The turn with its first call, and one more for each further call."""
    return [
        replace(message, tool_calls=message.tool_calls[:1]),
        *(Message(message.role, "", tool_calls=(call,)) for call in message.tool_calls[1:]),
    ]


def _is_short(call_id: str) -> bool:
    return len(call_id) == SHORT_ID_LENGTH and call_id.isascii() and call_id.isalnum()


def read_arguments(text: str) -> dict[str, JSON]:
    """The arguments of a call in a history. JSON that was cut is closed; other values are kept."""
    value: JSON = text
    for _ in range(2):  # some models write their JSON into a JSON string
        if not isinstance(value, str):
            break
        try:
            value = from_json(value or "{}", allow_partial="trailing-strings")
        except ValueError:
            break
    return value if isinstance(value, dict) else {"arguments": value}


def fold(turns: Sequence[Fields], traits: TurnTraits) -> list[Fields]:
    """The same words in turns that the template takes."""
    leading = list(takewhile(_is_system, turns))
    later = list(turns[len(leading) :])
    is_alone = not any(turn["role"] == "user" for turn in turns)
    if not traits.takes_system or (is_alone and not traits.takes_system_alone):
        leading, later = [], _without_systems(turns)
    elif not traits.takes_several_systems:
        leading = _joined(leading, {"system"})
    if not traits.takes_late_system:
        later = _without_systems(later)
    return in_parts(_joined([*leading, *later], traits.joined), traits.in_parts)


def _is_system(turn: Fields) -> bool:
    return turn["role"] == "system"


def _without_systems(turns: Iterable[Fields]) -> list[Fields]:
    folded: list[Fields] = []
    waiting: list[Fields] = []
    for turn in turns:
        if _is_system(turn):
            waiting.append({**turn, "role": "user"})
        elif turn["role"] == "user":
            folded += _joined([*waiting, turn], {"user"})
            waiting = []
        else:
            folded += [*_joined(waiting, {"user"}), turn]
            waiting = []
    return folded + _joined(waiting, {"user"})


def _joined(turns: Iterable[Fields], roles: Collection[str]) -> list[Fields]:
    """Turns of these roles that stand in a row as one."""
    joined: list[Fields] = []
    for turn in turns:
        last = joined[-1] if joined else None
        if last is None or not _may_join(last, turn, roles):
            joined.append(turn)
            continue
        contents = [each["content"] for each in (last, turn) if each["content"]]
        joined[-1] = {**last, **turn, "content": "\n\n".join(map(str, contents))}
    return joined


def _may_join(last: Fields, turn: Fields, roles: Collection[str]) -> bool:
    return turn["role"] == last["role"] and turn["role"] in roles and "tool_calls" not in last
