"""Responses, domain to wire: an item of the output while it is being said. Pure.

An item is announced, grows by deltas, and is closed; what it is then is made of its deltas alone.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Protocol, TypeAlias

from pydantic_core import from_json

from llm_api.api.mapping.responses.tools import OfferedTool
from llm_api.api.models.responses import stream_events as wire
from llm_api.api.models.responses.output import (
    CustomCallOutputItem,
    FileCitation,
    FunctionCallOutputItem,
    ItemStatus,
    MCPApprovalOutputItem,
    OutputItem,
    OutputLogprob,
    OutputMessage,
    OutputText,
    ReasoningOutput,
    SummaryText,
    ThoughtText,
)

Events: TypeAlias = Iterator[wire.ResponseEvent]
Closing: TypeAlias = Generator[wire.ResponseEvent, None, OutputItem]
"""Events, and the item that they end."""


class OpenItem(Protocol):
    """An item that has been announced and is not closed."""

    def opening(self) -> Events: ...
    def closing(self, status: ItemStatus) -> Closing: ...


class OpenMessage:
    """What the model says: one part of text."""

    def __init__(self, item_id: str, index: int) -> None:
        self._id = item_id
        self._index = index
        self._text: list[str] = []
        self._logprobs: list[OutputLogprob] = []
        self._annotations: list[FileCitation] = []
        self.characters = 0

    def opening(self) -> Events:
        added = OutputMessage(
            id=self._id, type="message", status="in_progress", role="assistant", content=[]
        )
        yield wire.ItemAdded(output_index=self._index, item=added)
        empty = OutputText(type="output_text", text="", annotations=[], logprobs=[])
        yield wire.PartAdded(
            item_id=self._id, output_index=self._index, content_index=0, part=empty
        )

    def add(self, text: str, logprobs: list[OutputLogprob]) -> wire.ResponseEvent:
        self._text.append(text)
        self.characters += len(text)
        self._logprobs += logprobs
        return wire.TextDelta(
            item_id=self._id,
            output_index=self._index,
            content_index=0,
            delta=text,
            logprobs=logprobs,
        )

    def annotate(self, citation: FileCitation) -> wire.ResponseEvent:
        self._annotations.append(citation)
        return wire.AnnotationAdded(
            item_id=self._id,
            output_index=self._index,
            content_index=0,
            annotation_index=len(self._annotations) - 1,
            annotation=citation,
        )

    def closing(self, status: ItemStatus) -> Closing:
        part = OutputText(
            type="output_text",
            text="".join(self._text),
            annotations=list(self._annotations),
            logprobs=list(self._logprobs),
        )
        item = OutputMessage(
            id=self._id, type="message", status=status, role="assistant", content=[part]
        )
        yield wire.TextDone(
            item_id=self._id,
            output_index=self._index,
            content_index=0,
            text=part.text,
            logprobs=part.logprobs,
        )
        yield wire.PartDone(item_id=self._id, output_index=self._index, content_index=0, part=part)
        yield wire.ItemDone(output_index=self._index, item=item)
        return item


class OpenThought:
    """What the model thinks: as it is, or where a summary is asked for in its place."""

    def __init__(
        self, item_id: str, index: int, *, is_summary: bool, sealed: Callable[[str], str] | None
    ) -> None:
        self._id = item_id
        self._index = index
        self._is_summary = is_summary
        self._sealed = sealed
        self._text: list[str] = []

    def opening(self) -> Events:
        added = ReasoningOutput(id=self._id, type="reasoning", status="in_progress", summary=[])
        yield wire.ItemAdded(output_index=self._index, item=added)
        if self._is_summary:
            yield wire.SummaryPartAdded(
                item_id=self._id,
                output_index=self._index,
                summary_index=0,
                part=SummaryText(type="summary_text", text=""),
            )

    def add(self, text: str) -> wire.ResponseEvent:
        self._text.append(text)
        if self._is_summary:
            return wire.SummaryDelta(
                item_id=self._id, output_index=self._index, summary_index=0, delta=text
            )
        return wire.ReasoningDelta(
            item_id=self._id, output_index=self._index, content_index=0, delta=text
        )

    def closing(self, status: ItemStatus) -> Closing:
        text = "".join(self._text)
        if self._is_summary:
            yield wire.SummaryDone(
                item_id=self._id, output_index=self._index, summary_index=0, text=text
            )
            yield wire.SummaryPartDone(
                item_id=self._id,
                output_index=self._index,
                summary_index=0,
                part=SummaryText(type="summary_text", text=text),
            )
        else:
            yield wire.ReasoningDone(
                item_id=self._id, output_index=self._index, content_index=0, text=text
            )
        item = self._item(text, status)
        yield wire.ItemDone(output_index=self._index, item=item)
        return item

    def _item(self, text: str, status: ItemStatus) -> ReasoningOutput:
        item = ReasoningOutput(id=self._id, type="reasoning", status=status, summary=[])
        if self._is_summary:
            item.summary = [SummaryText(type="summary_text", text=text)]
        else:
            item.content = [ThoughtText(type="reasoning_text", text=text)]
        if self._sealed is not None:
            item.encrypted_content = self._sealed(text)
        return item


class OpenCall:
    """A call of a function, which the client is to make."""

    def __init__(
        self, item_id: str, index: int, call_id: str, name: str, namespace: str | None
    ) -> None:
        self._id = item_id
        self._index = index
        self._call_id = call_id
        self._name = name
        self._namespace = namespace
        self._arguments: list[str] = []

    def opening(self) -> Events:
        yield wire.ItemAdded(output_index=self._index, item=self._item("in_progress"))

    def add(self, arguments: str) -> Events:
        self._arguments.append(arguments)
        yield wire.ArgumentsDelta(item_id=self._id, output_index=self._index, delta=arguments)

    def closing(self, status: ItemStatus) -> Closing:
        item = self._item(status)
        yield wire.ArgumentsDone(
            item_id=self._id, output_index=self._index, name=item.name, arguments=item.arguments
        )
        yield wire.ItemDone(output_index=self._index, item=item)
        return item

    def _item(self, status: ItemStatus) -> FunctionCallOutputItem:
        item = FunctionCallOutputItem(
            id=self._id,
            type="function_call",
            status=status,
            call_id=self._call_id,
            name=self._name,
            arguments="".join(self._arguments),
        )
        if self._namespace is not None:
            item.namespace = self._namespace
        return item


class OpenCustomCall:
    """A call of a custom tool: what the model writes as JSON is shown as the text that it means."""

    def __init__(self, item_id: str, index: int, call_id: str, tool: OfferedTool) -> None:
        self._id = item_id
        self._index = index
        self._call_id = call_id
        self._tool = tool
        self._arguments = ""
        self._input = ""

    def opening(self) -> Events:
        yield wire.ItemAdded(output_index=self._index, item=self._item("in_progress"))

    def add(self, arguments: str) -> Events:
        self._arguments += arguments
        text = read_input(self._arguments)
        if len(text) > len(self._input):
            delta, self._input = text[len(self._input) :], text
            yield wire.CustomInputDelta(item_id=self._id, output_index=self._index, delta=delta)

    def closing(self, status: ItemStatus) -> Closing:
        item = self._item(status)
        yield wire.CustomInputDone(item_id=self._id, output_index=self._index, input=item.input)
        yield wire.ItemDone(output_index=self._index, item=item)
        return item

    def _item(self, status: ItemStatus) -> CustomCallOutputItem:
        item = CustomCallOutputItem(
            id=self._id,
            type="custom_tool_call",
            status=status,
            call_id=self._call_id,
            name=self._tool.name,
            input=self._input,
        )
        if self._tool.namespace is not None:
            item.namespace = self._tool.namespace
        return item


class OpenApproval:
    """A call of an MCP server's tool that waits for leave. The wire has no event for its growth."""

    def __init__(self, item_id: str, index: int, tool: OfferedTool) -> None:
        self._id = item_id
        self._index = index
        self._tool = tool
        self._arguments = ""

    def opening(self) -> Events:
        yield wire.ItemAdded(output_index=self._index, item=self._item())

    def add(self, arguments: str) -> Events:
        self._arguments += arguments
        return iter(())

    def closing(self, _status: ItemStatus) -> Closing:
        item = self._item()
        yield wire.ItemDone(output_index=self._index, item=item)
        return item

    def _item(self) -> MCPApprovalOutputItem:
        return MCPApprovalOutputItem(
            id=self._id,
            type="mcp_approval_request",
            server_label=self._tool.namespace or "",
            name=self._tool.name,
            arguments=self._arguments,
        )


def read_input(arguments: str) -> str:
    """The input of a custom tool, as far as its JSON has come. Pure."""
    try:
        value = from_json(arguments, allow_partial="trailing-strings")
    except ValueError:
        return ""
    text = value.get("input", "") if isinstance(value, dict) else ""
    return text if isinstance(text, str) else ""
