"""Responses, wire to domain: items become the turns of a conversation. Pure.

The thought, the words and the calls of an assistant in one go are several items and one turn.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from llm_api.api.mapping.generation import refuse, required
from llm_api.api.models.responses.items import (
    CallOutputItem,
    Content,
    CustomToolCallItem,
    FileSearchCallItem,
    FunctionCallItem,
    InputItem,
    InputPart,
    ItemReference,
    MCPApprovalRequestItem,
    MCPApprovalResponseItem,
    MCPCallItem,
    MCPListToolsItem,
    MessageItem,
    ReasoningItem,
    UnknownItem,
)
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import Message, Role, ToolCall
from llm_api.core.rag.answering.prompt import attribute, delimited
from llm_api.core.rag.answering.searching import TOOL

OWN_LABEL = "llm_api"
"""The `server_label` of this server's own functions."""

_ROLES: Mapping[str, Role] = {"developer": "system", "system": "system", "user": "user"}


@dataclass(frozen=True, slots=True)
class PlacedItem:
    """An item, and the parameter that brought it."""

    item: InputItem
    path: str


def placed(items: Iterable[InputItem], path: str = "input") -> list[PlacedItem]:
    """The items of one parameter."""
    return [PlacedItem(item, f"{path}[{index}]") for index, item in enumerate(items)]


@dataclass(frozen=True, slots=True)
class ItemReader:
    """How items are read.

    `flat_name` is what the model knows a tool by that has this name in this namespace; `unsealed`
    opens the encrypted thought that the parameter of this path holds; `files` are the texts of
    files by the paths of their parts.
    """

    flat_name: Callable[[str, str | None], str]
    unsealed: Callable[[str, str], str]
    files: Mapping[str, str] = field(default_factory=dict)

    def read(self, items: Iterable[PlacedItem]) -> "Conversed":
        """The conversation.

        Raises InvalidRequestError for what contradicts itself, UnsupportedParameterError for what
        cannot be read; both name the parameter.
        """
        turns = _Turns()
        for one in items:
            turns.source = one.item
            self._add(turns, one.item, one.path)
        return Conversed(turns.all(), turns.waiting)

    def _add(self, turns: "_Turns", item: InputItem, path: str) -> None:
        match item:
            case MessageItem():
                self._add_message(turns, item, path)
            case ReasoningItem():
                turns.think(self._thought(item, path))
            case FunctionCallItem() | CustomToolCallItem():
                name = self.flat_name(item.name, item.namespace)
                turns.call(ToolCall(item.call_id, name, _arguments(item)))
            case CallOutputItem():
                self._add_output(turns, item, path)
            case MCPListToolsItem() | MCPCallItem() | MCPApprovalRequestItem():
                self._add_server_item(turns, item)
            case ItemReference():
                raise InvalidRequestError(
                    f"'{path}' refers to an item '{item.id}' that is not stored here.",
                    param=f"{path}.id",
                )
            case MCPApprovalResponseItem():
                turns.approve(item, f"{path}.approval_request_id")
            case FileSearchCallItem():
                self._add_search(turns, item, path)
            case UnknownItem():
                refuse(f"{path}.type", f"is '{item.type}': this server cannot read such items.")
            case other:
                assert_never(other)

    def _add_message(self, turns: "_Turns", item: MessageItem, path: str) -> None:
        text = self._text(item.content, f"{path}.content")
        if item.role == "assistant":
            turns.say(text)
        else:
            turns.add(Message(_ROLES[item.role], text))

    def _add_output(self, turns: "_Turns", item: CallOutputItem, path: str) -> None:
        """What the client called by itself is shown as a call of the model, as templates need it.

        Codex tells a goal that was set in this way.
        """
        output = self._text(item.output, f"{path}.output")
        call_id = item.call_id
        if call_id is None and item.type == "function_call_output" and item.name is not None:
            call_id = item.id or path
            turns.call(ToolCall(call_id, self.flat_name(item.name, item.namespace), "{}"))
        turns.answer(required(call_id, f"{path}.call_id"), output, f"{path}.call_id")

    def _add_server_item(
        self, turns: "_Turns", item: MCPListToolsItem | MCPCallItem | MCPApprovalRequestItem
    ) -> None:
        match item:
            case MCPListToolsItem():
                pass  # the request's tools say what there is now
            case MCPApprovalRequestItem():
                name = self.flat_name(item.name, item.server_label)
                turns.call(ToolCall(item.id, name, item.arguments))
            case MCPCallItem():
                self._add_server_call(turns, item)

    def _add_server_call(self, turns: "_Turns", item: MCPCallItem) -> None:
        result = item.output if item.output is not None else json.dumps({"error": item.error})
        if item.approval_request_id is not None and turns.gave_leave(item.approval_request_id):
            turns.answer(item.approval_request_id, result, "")
            return
        namespace = None if item.server_label == OWN_LABEL else item.server_label
        name = self.flat_name(item.name, namespace)
        turns.call(ToolCall(item.id, name, item.arguments))
        turns.answer(item.id, result, "")

    def _add_search(self, turns: "_Turns", item: FileSearchCallItem, path: str) -> None:
        """An earlier search with what it found; without its results it would say nothing."""
        if not item.results:
            return
        call_id = item.id or path
        turns.call(ToolCall(call_id, TOOL, json.dumps({"queries": item.queries})))
        turns.answer(call_id, "\n\n".join(map(_earlier_source, item.results)), "")

    def _thought(self, item: ReasoningItem, path: str) -> str:
        if item.content:
            return self._text(item.content, f"{path}.content")
        if item.encrypted_content:
            return self.unsealed(item.encrypted_content, f"{path}.encrypted_content")
        return self._text(item.summary, f"{path}.summary")

    def _text(self, content: Content, path: str) -> str:
        if isinstance(content, str):
            return content
        return "".join(self._part(part, f"{path}[{index}]") for index, part in enumerate(content))

    def _part(self, part: InputPart, path: str) -> str:
        if part.type == "input_image":
            refuse(f"{path}.type", "is 'input_image': this server's models read text only.")
        if part.type == "input_file":
            return self.files[path]
        if part.type == "refusal":
            return required(part.refusal, f"{path}.refusal")
        return required(part.text, f"{path}.text")


def _earlier_source(result: Mapping[str, object]) -> str:
    """A result of an earlier search as a model reads it: without a number, not to be cited."""
    name, text = result.get("filename"), result.get("text")
    title = attribute("name", name) if isinstance(name, str) else ""
    return f"<source {delimited(title, text if isinstance(text, str) else '')}"


def _arguments(item: FunctionCallItem | CustomToolCallItem) -> str:
    """A custom tool's input is the one argument of the function that the model knows it as."""
    if isinstance(item, FunctionCallItem):
        return item.arguments
    return json.dumps({"input": item.input}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class ReadTurn:
    """A turn, and the items that it is made of."""

    message: Message
    items: tuple[InputItem, ...]


@dataclass(frozen=True, slots=True)
class Conversed:
    """A conversation, and the calls in it that were given leave and have not been made yet."""

    turns: list[ReadTurn]
    approved: tuple[ToolCall, ...]


class _Turns:
    """Turns, of which the last may be an assistant's that is not over.

    | what comes | while an assistant's turn is open |
    |---|---|
    | a thought | begins another turn, once it has spoken or called |
    | words | begin another turn after words, are added to a turn of calls |
    | a call | is added |
    | all else | ends it |

    `source` is the item that is being read.
    """

    def __init__(self) -> None:
        self.source: InputItem | None = None
        self._turns: list[ReadTurn] = []
        self._sources: list[InputItem] = []
        self._made: dict[str, ToolCall] = {}
        self._approved: dict[str, ToolCall] = {}
        self._reasoning: list[str] = []
        self._content: str | None = None
        self._calls: list[ToolCall] = []

    def all(self) -> list[ReadTurn]:
        self._end()
        return self._turns

    def add(self, turn: Message) -> None:
        self._end()
        self._turns.append(ReadTurn(turn, self._from_source()))

    def think(self, thought: str) -> None:
        if self._content is not None or self._calls:
            self._end()
        self._reasoning.append(thought)
        self._sources += self._from_source()

    def say(self, text: str) -> None:
        if self._content is not None:
            self._end()
        self._content = text
        self._sources += self._from_source()

    def call(self, call: ToolCall) -> None:
        self._calls.append(call)
        self._made[call.id] = call
        self._sources += self._from_source()

    def answer(self, call_id: str, output: str, path: str) -> None:
        """Raises InvalidRequestError for the output of a call that has not been made."""
        if call_id not in self._made:
            raise InvalidRequestError(
                f"No tool call found for the output '{path}': the call '{call_id}' must stand"
                " before it.",
                param=path,
            )
        self.add(Message("tool", output, tool_call_id=call_id))

    def approve(self, item: MCPApprovalResponseItem, path: str) -> None:
        """Raises InvalidRequestError for leave that nobody has asked for."""
        call = self._made.get(item.approval_request_id)
        if call is None:
            raise InvalidRequestError(
                f"'{path}' is that of no approval request before it: '{item.approval_request_id}'.",
                param=path,
            )
        if item.approve:
            self._approved[call.id] = call
        else:
            reason = f": {item.reason}" if item.reason else ""
            self.answer(call.id, json.dumps({"error": f"The user refused this call{reason}"}), path)

    def gave_leave(self, call_id: str) -> bool:
        """Whether a call that was made has had leave; it waits no more."""
        return self._approved.pop(call_id, None) is not None

    @property
    def waiting(self) -> tuple[ToolCall, ...]:
        """The calls that have leave and were not made."""
        return tuple(self._approved.values())

    def _end(self) -> None:
        if self._content is None and not self._calls and not self._reasoning:
            return
        message = Message(
            "assistant",
            self._content or "",
            tool_calls=tuple(self._calls),
            reasoning="\n\n".join(self._reasoning),
        )
        self._turns.append(ReadTurn(message, tuple(self._sources)))
        self._content, self._calls, self._reasoning, self._sources = None, [], [], []

    def _from_source(self) -> tuple[InputItem, ...]:
        """The item that is being read, once."""
        source, self.source = self.source, None
        return () if source is None else (source,)
