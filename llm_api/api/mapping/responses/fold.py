"""Responses, domain to wire: the fold of core events, by which stream and final object agree.

Every event of the engine gives events of the wire and changes the response, which at any moment is
what the events so far add up to. An answer that is not streamed is the same fold, of which only
the response is sent. Pure, but for the ids and the clock that it is given.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias, assert_never

from llm_api.api.mapping.generation import token_text, wire_logprob, wire_progress
from llm_api.api.mapping.responses.open_items import (
    Events,
    OpenApproval,
    OpenCall,
    OpenCustomCall,
    OpenItem,
    OpenMessage,
    OpenThought,
)
from llm_api.api.mapping.responses.searched_items import (
    begun_search_item,
    to_file_citation,
    to_search_item,
)
from llm_api.api.mapping.responses.tools import MCPFunctionOf, ToolOffer
from llm_api.api.mapping.responses.turns import OWN_LABEL, ReadTurn
from llm_api.api.models.responses import stream_events as wire
from llm_api.api.models.responses.output import (
    ItemStatus,
    ListedTool,
    LogprobCandidate,
    MCPCallOutputItem,
    MCPError,
    MCPListOutputItem,
    OutputItem,
    OutputLogprob,
)
from llm_api.api.models.responses.response import (
    ErrorCode,
    IncompleteDetails,
    InputTokensDetails,
    OmittedItem,
    OutputTokensDetails,
    ResponseError,
    ResponseObject,
    ResponseUsage,
)
from llm_api.core.errors import GenerationError
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.shortening import Shortened
from llm_api.core.llm.types import (
    Annotation,
    Event,
    Finished,
    FinishReason,
    FunctionExecuted,
    ReasoningDelta,
    SampledLogprob,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.rag.answering.searches import FoundCitation, Searched

IN_PROGRESS_NUMBER: Final = 1
"""Of `response.in_progress` in a stream that was not queued."""

NewId: TypeAlias = Callable[[str], str]
"""A fresh id with this prefix."""


_CALLS: Final = frozenset({"function_call", "custom_tool_call", "mcp_approval_request"})

_CUTS: Final[Mapping[FinishReason, IncompleteDetails]] = {
    "length": IncompleteDetails(reason="max_output_tokens"),
    "content_filter": IncompleteDetails(reason="content_filter"),
}


@dataclass(frozen=True, slots=True)
class Writing:
    """How an answer is written, as far as the request decides it.

    `sealed` encrypts a thought; None where that was not asked for. `turns` are those of the prompt,
    `approved` the ids of the calls that were given leave.
    """

    offer: ToolOffer
    turns: Sequence[ReadTurn] = ()
    shows_summary: bool = False
    shows_logprobs: bool = False
    shows_results: bool = False
    sealed: Callable[[str], str] | None = None
    approved: frozenset[str] = frozenset()


class ResponseFold:
    """Makes the events of one response, and the response.

    Open at the same time are one message, one thought, or calls, of which several may grow at once.
    """

    def __init__(
        self,
        response: ResponseObject,
        writing: Writing,
        new_id: NewId,
        now: Callable[[], int],
    ) -> None:
        self.response = response
        self._writing = writing
        self._new_id = new_id
        self._now = now
        self._next_number = 0
        self._closed: list[OutputItem] = []
        self._open: list[OpenItem] = []
        self._calls: dict[int, OpenCall | OpenCustomCall | OpenApproval] = {}

    def opening(self) -> list[wire.ResponseEvent]:
        """The events that come before anything of the model does."""
        is_queued = self.response.status == "queued"
        second = wire.Queued if is_queued else wire.InProgress
        first = wire.Created(response=self.response), second(response=self.response)
        return self._numbered(first if is_queued else chain(first, self._list_tools()))

    def beginning(self) -> list[wire.ResponseEvent]:
        """The event of a queued response whose turn has come."""
        self._update(status="in_progress")
        return self._numbered(chain((wire.InProgress(response=self.response),), self._list_tools()))

    def progress(self, progress: Progress) -> wire.InProgress:
        """The second event of the stream once more: so it takes no number, and is not stored."""
        event = wire.InProgress(response=self.response, prompt_progress=wire_progress(progress))
        event.number(IN_PROGRESS_NUMBER)
        return event

    def take(self, event: Event) -> list[wire.ResponseEvent]:
        """What an event of the engine adds. Raises GenerationError where it cannot follow."""
        return self._numbered(self._taken(event))

    def absorb(self, event: Event) -> None:
        """As `take`, where nobody wants the events. Numbers none of them."""
        for _ in self._taken(event):
            pass

    def absorb_opening(self) -> None:
        """As `opening`, where nobody wants the events."""
        for _ in self._list_tools():
            pass

    def fail(self, code: ErrorCode, message: str) -> list[wire.ResponseEvent]:
        """The last events of an answer that broke off."""
        return self._numbered(
            self._ended(
                wire.Failed,
                "incomplete",
                status="failed",
                error=ResponseError(code=code, message=message),
            )
        )

    def cancel(self) -> list[wire.ResponseEvent]:
        """The last events of an answer that nobody wants any more.

        The wire has no event for it: the stream ends as an incomplete one, whose status says why.
        """
        return self._numbered(self._ended(wire.Incomplete, "incomplete", status="cancelled"))

    def _taken(self, event: Event) -> Events:
        match event:
            case TextDelta(text, logprobs):
                yield from self._say(text, logprobs)
            case ReasoningDelta(text):
                yield from self._think(text)
            case ToolCallStarted():
                yield from self._begin_call(event)
            case ToolCallDelta(index, arguments):
                yield from self._add_to_call(index, arguments)
            case FunctionExecuted():
                yield from self._executed(event)
            case Finished():
                yield from self._finish(event)
            case Started(served_by=by):
                if by is not None and by.fallback is not None:
                    self._update(model=by.fallback)
            case Annotation(value):
                yield from self._annotate(value)
            case other:
                assert_never(other)

    def _annotate(self, value: object) -> Events:
        message = self._open[0] if self._open else None
        match value:
            case Shortened(turns):
                gone = [item for index in turns for item in self._writing.turns[index].items]
                omitted = [OmittedItem(type=item.type or "message", id=item.id) for item in gone]
                self._update(omitted_items=omitted)
            case Searched():
                yield from self._searched(value)
            case FoundCitation() if isinstance(message, OpenMessage):
                yield message.annotate(to_file_citation(value, message.characters))
            case _:
                pass

    def _say(self, text: str, logprobs: Sequence[SampledLogprob]) -> Events:
        if not text and not logprobs:
            return
        message = self._open[0] if self._open else None
        if not isinstance(message, OpenMessage):
            message = OpenMessage(self._new_id("msg"), self._next_index())
            yield from self._begin(message)
        shown = logprobs if self._writing.shows_logprobs else ()
        yield message.add(text, [_output_logprob(one) for one in shown])

    def _think(self, text: str) -> Events:
        if not text:
            return
        thought = self._open[0] if self._open else None
        if not isinstance(thought, OpenThought):
            thought = OpenThought(
                self._new_id("rs"),
                self._next_index(),
                is_summary=self._writing.shows_summary,
                sealed=self._writing.sealed,
            )
            yield from self._begin(thought)
        yield thought.add(text)

    def _begin_call(self, started: ToolCallStarted) -> Events:
        if not self._calls:
            yield from self._close_all("completed")
        tool = self._writing.offer.tools.get(started.name)
        index = self._next_index()
        call: OpenCall | OpenCustomCall | OpenApproval
        if tool is not None and tool.kind == "custom":
            call = OpenCustomCall(self._new_id("ctc"), index, started.id, tool)
        elif tool is not None and tool.kind == "approval":
            call = OpenApproval(self._new_id("mcpr"), index, tool)
        else:
            name, namespace = (started.name, None) if tool is None else (tool.name, tool.namespace)
            call = OpenCall(self._new_id("fc"), index, started.id, name, namespace)
        self._calls[started.index] = call
        self._open.append(call)
        yield from call.opening()

    def _add_to_call(self, index: int, arguments: str) -> Events:
        if index not in self._calls:
            raise GenerationError("The model went on with a call that was over.")
        return self._calls[index].add(arguments)

    def _executed(self, executed: FunctionExecuted) -> Events:
        """A call that was made here: announced, made and done at once."""
        yield from self._close_all("completed")
        index = len(self._closed)
        item_id = self._new_id("mcp")
        arguments = executed.call.arguments
        tool = self._writing.offer.tools.get(executed.call.name)
        is_approved = executed.call.id in self._writing.approved
        begun = MCPCallOutputItem(
            id=item_id,
            type="mcp_call",
            status="in_progress",
            server_label=OWN_LABEL if tool is None else tool.namespace or OWN_LABEL,
            name=executed.call.name if tool is None else tool.name,
            arguments="",
            approval_request_id=executed.call.id if is_approved else None,
            output=None,
            error=None,
        )
        yield wire.ItemAdded(output_index=index, item=begun)
        yield wire.MCPInProgress(item_id=item_id, output_index=index)
        yield wire.MCPArgumentsDelta(item_id=item_id, output_index=index, delta=arguments)
        yield wire.MCPArgumentsDone(item_id=item_id, output_index=index, arguments=arguments)
        done = begun.model_copy(update={"status": "completed", "arguments": arguments})
        if executed.is_error:
            done.status = "failed"
            text = {"type": "text", "text": executed.result}
            done.error = MCPError(type="mcp_tool_execution_error", content=[text])
            yield wire.MCPFailed(item_id=item_id, output_index=index)
        else:
            done.output = executed.result
            yield wire.MCPCompleted(item_id=item_id, output_index=index)
        self._closed.append(done)
        yield wire.ItemDone(output_index=index, item=done)

    def _searched(self, searched: Searched) -> Events:
        """A search that was made here: announced, made and done at once."""
        yield from self._close_all("completed")
        index, item_id = self._next_index(), self._new_id("fs")
        yield wire.ItemAdded(output_index=index, item=begun_search_item(item_id))
        yield wire.FileSearchInProgress(item_id=item_id, output_index=index)
        yield wire.FileSearchSearching(item_id=item_id, output_index=index)
        done = to_search_item(item_id, searched, shows_results=self._writing.shows_results)
        if not searched.is_error:
            yield wire.FileSearchCompleted(item_id=item_id, output_index=index)
        self._closed.append(done)
        yield wire.ItemDone(output_index=index, item=done)

    def _list_tools(self) -> Events:
        """What each MCP server offers: announced and done at once."""
        for server in self._writing.offer.listed:
            index, item_id = self._next_index(), self._new_id("mcpl")
            begun = MCPListOutputItem(
                id=item_id,
                type="mcp_list_tools",
                server_label=server.label,
                tools=[],
                error=None,
            )
            done = begun.model_copy(update={"tools": [_listed(one) for one in server.functions]})
            yield wire.ItemAdded(output_index=index, item=begun)
            yield wire.MCPListInProgress(item_id=item_id, output_index=index)
            yield wire.MCPListCompleted(item_id=item_id, output_index=index)
            self._closed.append(done)
            yield wire.ItemDone(output_index=index, item=done)

    def _finish(self, finished: Finished) -> Events:
        usage = _wire_usage(finished.usage)
        cut = _CUTS.get(finished.reason)
        if cut is not None:
            yield from self._ended(
                wire.Incomplete,
                "incomplete",
                status="incomplete",
                incomplete_details=cut,
                usage=usage,
            )
            return
        if not self._calls and not self._says_enough():
            # Clients wait for a message where no call is made.
            yield from self._begin(OpenMessage(self._new_id("msg"), self._next_index()))
        yield from self._ended(
            wire.Completed,
            "completed",
            status="completed",
            completed_at=self._now(),
            usage=usage,
        )

    def _says_enough(self) -> bool:
        """Whether the answer makes a call, or ends in words."""
        if self._open:
            return isinstance(self._open[-1], OpenMessage)
        kinds = [item.type for item in self._closed]
        return "message" in kinds[-1:] or not _CALLS.isdisjoint(kinds)

    def _begin(self, item: OpenMessage | OpenThought) -> Events:
        yield from self._close_all("completed")
        self._open = [item]
        yield from item.opening()

    def _close_all(self, status: ItemStatus) -> Events:
        for item in self._open:
            closed = yield from item.closing(status)
            self._closed.append(closed)
        self._open = []
        self._calls = {}

    def _ended(
        self, last: type[wire.LifecycleEvent], item_status: ItemStatus, **changes: Any
    ) -> Events:
        yield from self._close_all(item_status)
        self._update(**changes)
        yield last(response=self.response)

    def _next_index(self) -> int:
        """Where an item stands that is announced now."""
        return len(self._closed) + len(self._open)

    def _update(self, **changes: Any) -> None:
        """A new response, so that those in earlier events stay as they were."""
        self.response = self.response.model_copy(update={**changes, "output": [*self._closed]})

    def _numbered(self, events: Iterable[wire.ResponseEvent]) -> list[wire.ResponseEvent]:
        made = list(events)
        for event in made:
            event.number(self._next_number)
            self._next_number += 1
        return made


def _listed(function: MCPFunctionOf) -> ListedTool:
    spec = function.spec
    return ListedTool(
        name=function.tool,
        description=spec.description,
        input_schema=dict(spec.parameters),
        annotations=None,
    )


def _wire_usage(usage: Usage) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputTokensDetails(
            cached_tokens=usage.cached_tokens, cache_write_tokens=0
        ),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=usage.reasoning_tokens),
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )


def _output_logprob(sampled: SampledLogprob) -> OutputLogprob:
    return OutputLogprob(
        **_candidate(sampled.chosen),
        top_logprobs=[LogprobCandidate(**_candidate(one)) for one in sampled.top],
    )


def _candidate(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token_text(token.data),
        "logprob": wire_logprob(token.logprob),
        "bytes": list(token.data),
    }
