"""What Anthropic's Messages API streams, as events. Pure.

Source: the types of Anthropic's official client. Events and blocks of kinds that are not known here
are passed over, as that API asks of its readers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llm_api.core.llm.backends.upstream_backend import text_of
from llm_api.core.llm.types import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.upstream import UpstreamServer, failure_in_stream

_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # more would follow
    "refusal": "content_filter",
}


@dataclass(slots=True)
class _OpenCall:
    """The call whose block is open. `input` is what it began with."""

    index: int
    input: object
    has_arguments: bool = False


class ClaudeReader:
    """Reads one answer, event by event.

    Raises AttributeError, LookupError, TypeError or ValueError for an event of another form.
    """

    def __init__(self, server: UpstreamServer) -> None:
        self._server = server
        self._usage: dict[str, Any] = {}
        self._reason: FinishReason | None = None
        self._stop_string: str | None = None
        self._call: _OpenCall | None = None
        self._calls = 0

    def read(self, data: str) -> Iterator[Event]:
        """The events of one of theirs. Raises the error that it tells in place of an answer."""
        said = json.loads(data)
        match said["type"]:
            case "message_start":
                self._count(said["message"]["usage"])
                yield Started(self._prompt_tokens())
            case "content_block_start":
                yield from self._start(said["content_block"])
            case "content_block_delta":
                yield from self._more(said["delta"])
            case "content_block_stop":
                yield from self._end()
            case "message_delta":
                self._count(said["usage"])
                if (reason := said["delta"]["stop_reason"]) is not None:
                    self._reason = _REASONS[reason]
                    self._stop_string = said["delta"].get("stop_sequence")
            case "message_stop":
                yield self._finished()
            case "error":
                raise failure_in_stream(self._server, said)
            case _:
                pass

    def _start(self, block: Mapping[str, Any]) -> Iterator[Event]:
        match block["type"]:
            case "text" if block["text"]:
                yield TextDelta(text_of(block["text"]))
            case "thinking" if block["thinking"]:
                yield ReasoningDelta(text_of(block["thinking"]))
            case "tool_use":
                self._call = _OpenCall(self._calls, block["input"])
                self._calls += 1
                yield ToolCallStarted(
                    self._call.index, text_of(block["id"]), text_of(block["name"])
                )
            case _:
                pass

    def _more(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        match delta["type"]:
            case "text_delta" if delta["text"]:
                yield TextDelta(text_of(delta["text"]))
            case "thinking_delta" if delta["thinking"]:
                yield ReasoningDelta(text_of(delta["thinking"]))
            case "input_json_delta" if self._call is not None and delta["partial_json"]:
                self._call.has_arguments = True
                yield ToolCallDelta(self._call.index, text_of(delta["partial_json"]))
            case _:
                pass

    def _end(self) -> Iterator[Event]:
        """A call whose arguments were not streamed has those that it began with."""
        call, self._call = self._call, None
        if call is not None and not call.has_arguments:
            yield ToolCallDelta(call.index, json.dumps(call.input))

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Counts are totals: what comes later replaces what came before."""
        self._usage |= {name: count for name, count in usage.items() if count is not None}

    def _prompt_tokens(self) -> int:
        """All of the prompt: `input_tokens` are those that no cache had to do with."""
        return sum(
            int(self._usage.get(name, 0))
            for name in (
                "input_tokens",
                "cache_read_input_tokens",
                "cache_creation_input_tokens",
            )
        )

    def _finished(self) -> Finished:
        if self._reason is None:
            raise ValueError("no reason to stop")
        usage = Usage(
            self._prompt_tokens(),
            int(self._usage["output_tokens"]),
            int(self._usage.get("cache_read_input_tokens", 0)),
            int(self._usage.get("output_tokens_details", {}).get("thinking_tokens", 0)),
        )
        return Finished(self._reason, usage, stop_string=self._stop_string)
