"""Messages, domain to wire: the fold of core events, by which stream and whole message agree. Pure.

One block is open at a time. A message that is not streamed has no events for the deltas.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

from llm_api.api.mapping.file_search import file_name
from llm_api.api.mapping.generation import wire_progress
from llm_api.api.models.anthropic import message as wire
from llm_api.core.errors import GenerationError
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.prompt.turns import read_arguments
from llm_api.core.llm.types import (
    Annotation,
    Event,
    Finished,
    FunctionExecuted,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.rag.answering.given import GivenCitation
from llm_api.core.rag.answering.prompt import source_text
from llm_api.core.rag.answering.searches import FoundCitation, Searched
from llm_api.core.rag.answering.searching import TOOL

OWN_SERVER: Final = "llm_api"
"""The `server_name` of this server's own functions."""

Events: TypeAlias = Iterator[wire.MessageEvent]


@dataclass(frozen=True, slots=True)
class MessageWriting:
    """How a message is written, as far as the request decides it.

    `sign` signs a thought. With `hides_thought`, that alone is sent of it. `links` are the `source`
    of each search result.
    """

    id: str
    max_tokens: int
    is_streamed: bool
    sign: Callable[[str], str]
    hides_thought: bool = False
    links: Sequence[str] = ()


@dataclass(slots=True)
class _Text:
    parts: list[str] = field(default_factory=list)
    citations: list[wire.Citation] = field(default_factory=list)

    def opening(self) -> wire.AnswerBlock:
        return wire.AnswerText(type="text", text="")

    def closed(self) -> wire.AnswerBlock:
        block = wire.AnswerText(type="text", text="".join(self.parts))
        if self.citations:
            block.citations = self.citations
        return block


@dataclass(slots=True)
class _Thought:
    parts: list[str] = field(default_factory=list)

    def opening(self) -> wire.AnswerBlock:
        return wire.AnswerThinking(type="thinking", thinking="", signature="")


@dataclass(slots=True)
class _Call:
    index: int
    id: str
    name: str
    parts: list[str] = field(default_factory=list)

    def opening(self) -> wire.AnswerBlock:
        return wire.AnswerToolUse(type="tool_use", id=self.id, name=self.name, input={})

    def closed(self) -> wire.AnswerBlock:
        arguments = read_arguments("".join(self.parts))
        return wire.AnswerToolUse(type="tool_use", id=self.id, name=self.name, input=arguments)


class MessageFold:
    """Makes the events of one message, and the message."""

    def __init__(self, writing: MessageWriting) -> None:
        self._writing = writing
        self._content: list[wire.AnswerBlock] = []
        self._open: _Text | _Thought | _Call | None = None
        self._finished: Finished | None = None
        self._prompt_tokens = 0

    def opening(self, model: str) -> wire.MessageStart:
        """The first event of a stream, once the answer has started."""
        usage = _wire_usage(Usage(self._prompt_tokens, 0))
        return wire.MessageStart(type="message_start", message=self._message(model, [], usage))

    def progress(self, progress: Progress) -> wire.Ping:
        """What tells how far the prompt is read, before anything is said."""
        return wire.Ping(type="ping", prompt_progress=wire_progress(progress))

    def take(self, event: Event) -> list[wire.MessageEvent]:
        """The events of this one: none of the deltas where nobody wants them."""
        return list(self._taken(event))

    def message(self, model: str) -> wire.Message:
        """All of it. Raises GenerationError where the answer has not come to its end."""
        finished = self._finished
        if finished is None:
            raise GenerationError("The answer ended before it was complete; try again.")
        whole = self._message(model, self._content, _wire_usage(finished.usage))
        whole.stop_reason = self._stop_reason(finished)
        whole.stop_sequence = finished.stop_string
        return whole

    def _message(
        self, model: str, content: list[wire.AnswerBlock], usage: wire.MessageUsage
    ) -> wire.Message:
        return wire.Message(
            id=self._writing.id,
            type="message",
            role="assistant",
            model=model,
            content=content,
            stop_reason=None,
            stop_sequence=None,
            usage=usage,
        )

    def _taken(self, event: Event) -> Events:
        match event:
            case TextDelta(text):
                yield from self._say(text)
            case ReasoningDelta(text):
                yield from self._think(text)
            case ToolCallStarted(index, id, name):
                yield from self._begin(_Call(index, id, name))
            case ToolCallDelta(index, arguments):
                yield from self._add_to_call(index, arguments)
            case FunctionExecuted():
                yield from self._executed(event)
            case Finished():
                yield from self._finish(event)
            case Started(prompt_tokens=prompt_tokens):
                self._prompt_tokens = prompt_tokens or 0
            case Annotation(value):
                yield from self._annotate(value)
            case other:
                assert_never(other)

    def _say(self, text: str) -> Events:
        if not text:
            return
        block = self._open
        if not isinstance(block, _Text) or block.citations:
            block = _Text()
            yield from self._begin(block)
        block.parts.append(text)
        if self._writing.is_streamed:
            yield self._delta(wire.TextDelta(type="text_delta", text=text))

    def _think(self, text: str) -> Events:
        if not text:
            return
        block = self._open
        if not isinstance(block, _Thought):
            block = _Thought()
            yield from self._begin(block)
        block.parts.append(text)
        if self._writing.is_streamed and not self._writing.hides_thought:
            yield self._delta(wire.ThinkingDelta(type="thinking_delta", thinking=text))

    def _add_to_call(self, index: int, arguments: str) -> Events:
        if not isinstance(self._open, _Call) or self._open.index != index:
            raise GenerationError("The model went on with a call that was over.")
        self._open.parts.append(arguments)
        if self._writing.is_streamed:
            yield self._delta(wire.InputDelta(type="input_json_delta", partial_json=arguments))

    def _annotate(self, value: object) -> Events:
        match value:
            case GivenCitation():
                yield from self._cite(self._citation(value))
            case FoundCitation():
                yield from self._cite(_found_citation(value))
            case Searched():
                yield from self._searched(value)
            case _:
                pass

    def _cite(self, citation: wire.Citation) -> Events:
        block = self._open
        if not isinstance(block, _Text):
            block = _Text()
            yield from self._begin(block)
        block.citations.append(citation)
        if self._writing.is_streamed:
            yield self._delta(wire.CitationsDelta(type="citations_delta", citation=citation))

    def _executed(self, executed: FunctionExecuted) -> Events:
        """A call that was made here, and what came of it: two blocks, each whole at once."""
        yield from self._made(executed.call, executed.result, is_error=executed.is_error)

    def _searched(self, searched: Searched) -> Events:
        """A search of documents, which is a call that was made here."""
        arguments = json.dumps({"queries": searched.queries})
        call = ToolCall(f"{self._writing.id}_{len(self._content)}", TOOL, arguments)
        sources = [f"<source {source_text(one.hit)}" for one in searched.found]
        # Without the numbers, which are others in the next answer.
        told = "\n\n".join(sources) or searched.text
        yield from self._made(call, told, is_error=searched.is_error)

    def _made(self, call: ToolCall, result: str, *, is_error: bool) -> Events:
        yield from self._close()
        yield from self._whole_block(
            wire.ServerToolUse(
                type="mcp_tool_use",
                id=call.id,
                name=call.name,
                server_name=OWN_SERVER,
                input=read_arguments(call.arguments),
            )
        )
        yield from self._whole_block(
            wire.ServerToolResult(
                type="mcp_tool_result",
                tool_use_id=call.id,
                is_error=is_error,
                content=[wire.ResultText(type="text", text=result)],
            )
        )

    def _finish(self, finished: Finished) -> Events:
        if self._open is None and not self._content:
            yield from self._begin(_Text())  # clients look for a block
        yield from self._close()
        self._finished = finished
        yield wire.MessageDelta(
            type="message_delta",
            delta=wire.StopFields(
                stop_reason=self._stop_reason(finished), stop_sequence=finished.stop_string
            ),
            usage=_wire_usage(finished.usage),
        )
        yield wire.MessageStop(type="message_stop")

    def _stop_reason(self, finished: Finished) -> wire.StopReason:
        match finished.reason:
            case "stop":
                return "end_turn" if finished.stop_string is None else "stop_sequence"
            case "tool_calls":
                return "tool_use"
            case "content_filter":
                return "refusal"
            case "length":
                is_full = finished.usage.completion_tokens < self._writing.max_tokens
                return "model_context_window_exceeded" if is_full else "max_tokens"
            case other:
                assert_never(other)

    def _begin(self, block: _Text | _Thought | _Call) -> Events:
        yield from self._close()
        self._open = block
        yield self._start(block.opening())

    def _close(self) -> Events:
        block, self._open = self._open, None
        if block is None:
            return
        if isinstance(block, _Thought):
            thought = "".join(block.parts)
            signature = self._writing.sign(thought)
            yield self._delta(wire.SignatureDelta(type="signature_delta", signature=signature))
            shown = "" if self._writing.hides_thought else thought
            closed: wire.AnswerBlock = wire.AnswerThinking(
                type="thinking", thinking=shown, signature=signature
            )
        else:
            closed = block.closed()
        yield wire.BlockStop(type="content_block_stop", index=len(self._content))
        self._content.append(closed)

    def _whole_block(self, block: wire.AnswerBlock) -> Events:
        yield self._start(block)
        yield wire.BlockStop(type="content_block_stop", index=len(self._content))
        self._content.append(block)

    def _start(self, block: wire.AnswerBlock) -> wire.BlockStart:
        return wire.BlockStart(
            type="content_block_start", index=len(self._content), content_block=block
        )

    def _delta(self, delta: wire.Delta) -> wire.BlockDelta:
        return wire.BlockDelta(type="content_block_delta", index=len(self._content), delta=delta)

    def _citation(self, cited: GivenCitation) -> wire.Citation:
        source, start, end = cited.source, cited.place.start, cited.place.end
        title = source.title or None
        if source.sort == "search_result":
            return wire.SearchResultLocation(
                type="search_result_location",
                cited_text=cited.quote,
                source=self._writing.links[cited.index],
                title=title,
                search_result_index=cited.index,
                start_block_index=start,
                end_block_index=end,
            )
        about = wire.CitedDocument(
            cited_text=cited.quote, document_index=cited.index, document_title=title, file_id=None
        ).model_dump()
        match source.division:
            case "characters":
                return wire.CharLocation(
                    type="char_location", start_char_index=start, end_char_index=end, **about
                )
            case "pages":
                return wire.PageLocation(
                    type="page_location", start_page_number=start, end_page_number=end, **about
                )
            case "blocks":
                return wire.BlockLocation(
                    type="content_block_location",
                    start_block_index=start,
                    end_block_index=end,
                    **about,
                )
            case other:
                assert_never(other)


def _found_citation(cited: FoundCitation) -> wire.CharLocation:
    hit = cited.passage.hit
    return wire.CharLocation(
        type="char_location",
        cited_text=cited.citation.quote,
        document_index=cited.passage.number - 1,
        document_title=file_name(hit),
        file_id=hit.chunk.document_id,
        start_char_index=cited.citation.span.start,
        end_char_index=cited.citation.span.end,
    )


def _wire_usage(usage: Usage) -> wire.MessageUsage:
    return wire.MessageUsage(
        input_tokens=usage.prompt_tokens - usage.cached_tokens,
        cache_creation_input_tokens=0,
        cache_read_input_tokens=usage.cached_tokens,
        output_tokens=usage.completion_tokens,
        service_tier="standard",
    )
