"""What Ollama streams, as events. Pure, except for the ids it draws.

Reads both of its answers: `message` is what it says to a conversation, `response` to raw text.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from llm_api.core.llm.backends.upstream_backend import text_of
from llm_api.core.llm.output.dialect import new_call_id
from llm_api.core.llm.types import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    Timings,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.upstream import UpstreamServer, failure_in_stream

_REASONS: Final[Mapping[str, FinishReason]] = {"stop": "stop", "length": "length"}


class OllamaReader:
    """Reads one answer, line by line.

    Raises AttributeError, LookupError, TypeError or ValueError for a line of another form.
    """

    def __init__(
        self,
        server: UpstreamServer,
        max_calls: int | None = None,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        """Calls beyond `max_calls` are left out: Ollama cannot be told to make one at most."""
        self._server = server
        self._max_calls = max_calls
        self._new_id = new_id
        self._calls = 0
        self._has_started = False

    def read(self, line: bytes) -> Iterator[Event]:
        """The events of one line. Raises the error that it tells in place of an answer."""
        said = json.loads(line)
        if "error" in said:
            raise failure_in_stream(self._server, said)
        message = said["message"] if "message" in said else {**said, "content": said["response"]}
        if not self._has_started:
            self._has_started = True
            yield Started(prompt_tokens=None)
        if thinking := message.get("thinking"):
            yield ReasoningDelta(text_of(thinking))
        if content := message.get("content"):
            yield TextDelta(text_of(content))
        for call in message.get("tool_calls") or ():
            yield from self._call(call)
        if said["done"]:
            yield self._finished(said)

    def _call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        index = self._calls
        if index == self._max_calls:
            return
        self._calls += 1
        function = call["function"]
        yield ToolCallStarted(index, call.get("id") or self._new_id(), text_of(function["name"]))
        yield ToolCallDelta(index, json.dumps(dict(function["arguments"]), ensure_ascii=False))

    def _finished(self, said: Mapping[str, Any]) -> Finished:
        reason = _REASONS[said["done_reason"]]
        # A prompt that was wholly cached is not counted in older versions.
        usage = Usage(int(said.get("prompt_eval_count", 0)), int(said.get("eval_count", 0)))
        timings = Timings(
            queue_seconds=_seconds(said, "load_duration"),
            prefill_seconds=_seconds(said, "prompt_eval_duration"),
            decode_seconds=_seconds(said, "eval_duration"),
        )
        return Finished(
            "tool_calls" if reason == "stop" and self._calls else reason, usage, timings
        )


def _seconds(said: Mapping[str, Any], name: str) -> float:
    return float(said.get(name, 0)) / 1e9
