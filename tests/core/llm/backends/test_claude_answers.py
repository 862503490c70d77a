"""Events of Anthropic's streams, and what they are to us."""

import json
from typing import Any

import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from llm_api.core.llm.backends.claude_answers import ClaudeReader
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
from llm_api.core.upstream import UpstreamServer

ORIGIN = UpstreamServer("http://claude", "CLAUDE_API_KEY", "secret")
START = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
BLOCK_END = {"type": "content_block_stop", "index": 0}
STOP = {"type": "message_stop"}


def read(*events: dict[str, Any]) -> list[Event]:
    reader = ClaudeReader(ORIGIN)
    return [event for said in events for event in reader.read(json.dumps(said))]


def block(type_: str, **others: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": 0, "content_block": {"type": type_, **others}}


def delta(type_: str, **others: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": type_, **others}}


def end(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 3, **usage},
    }


def call(id_: str, name: str, *parts: str, **input_: Any) -> list[dict[str, Any]]:
    deltas = [delta("input_json_delta", partial_json=part) for part in parts]
    return [block("tool_use", id=id_, name=name, input=input_), *deltas, BLOCK_END]


def test_text_and_thoughts() -> None:
    events = (
        block("thinking", thinking="", signature=""),
        delta("thinking_delta", thinking="Hm"),
        delta("signature_delta", signature="c2ln"),
        BLOCK_END,
        block("text", text="H"),
        delta("text_delta", text=""),
        delta("text_delta", text="i"),
        BLOCK_END,
    )
    assert read(START, {"type": "ping"}, *events, end(), STOP) == [
        Started(5),
        ReasoningDelta("Hm"),
        TextDelta("H"),
        TextDelta("i"),
        Finished("stop", Usage(5, 3)),
    ]


def test_calls_are_counted_from_0_whatever_their_block() -> None:
    first = call("toolu_a", "a", "", '{"x":', " 1}")
    second = call("toolu_b", "b", '{"y": 2}')
    assert read(START, block("text", text="Hm"), BLOCK_END, *first, *second)[2:] == [
        ToolCallStarted(0, "toolu_a", "a"),
        ToolCallDelta(0, '{"x":'),
        ToolCallDelta(0, " 1}"),
        ToolCallStarted(1, "toolu_b", "b"),
        ToolCallDelta(1, '{"y": 2}'),
    ]


@pytest.mark.parametrize(("given", "arguments"), [({}, "{}"), ({"x": 1}, '{"x": 1}')])
def test_a_call_that_streams_no_arguments_has_those_it_began_with(
    given: dict[str, Any], arguments: str
) -> None:
    assert read(START, *call("toolu_a", "a", "", **given))[-1] == ToolCallDelta(0, arguments)


def test_what_is_not_known_is_passed_over() -> None:
    unknown = (
        {"type": "news"},
        block("redacted_thinking", data="x"),
        delta("citations_delta", citation={}),
    )
    assert read(START, *unknown, end(), STOP) == [Started(5), Finished("stop", Usage(5, 3))]


def test_cached_tokens_are_part_of_the_prompt() -> None:
    cache = {"cache_read_input_tokens": 12, "cache_creation_input_tokens": 4}
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 10, **cache}}}
    details: dict[str, Any] = {"output_tokens_details": {"thinking_tokens": 2}}
    assert read(start, end(**details), STOP) == [
        Started(26),
        Finished("stop", Usage(26, 3, cached_tokens=12, reasoning_tokens=2)),
    ]


def test_later_counts_replace_earlier_ones() -> None:
    usage: dict[str, Any] = {"input_tokens": 7, "cache_read_input_tokens": None}
    early = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 2}}
    assert read(START, early, end(**usage), STOP)[-1] == Finished("stop", Usage(7, 3))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_why_it_ended(reason: str, expected: FinishReason) -> None:
    assert read(START, end(reason), STOP)[-1] == Finished(expected, Usage(5, 3))


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("invalid_request_error", InvalidRequestError),
        ("authentication_error", UnavailableError),
        ("rate_limit_error", OverloadedError),
        ("overloaded_error", OverloadedError),
        ("timeout_error", UpstreamTimeoutError),
        ("api_error", UpstreamError),
    ],
)
def test_a_failure_in_the_stream_is_told(type_: str, kind: type[LLMAPIError]) -> None:
    error = {"type": "error", "error": {"type": type_, "message": "no, secret"}}
    with pytest.raises(kind, match="http://claude") as caught:
        read(START, error)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "event",
    [
        [],
        {},
        {"type": "message_start"},
        block("text", text=5),
        delta("text_delta", text=["Hi"]),
        delta("thinking_delta", thinking=1),
        block("tool_use", id=None, name="a", input={}),
        end("new_reason"),
        STOP,
    ],
)
def test_anything_else_is_not_understood(event: Any) -> None:
    with pytest.raises((AttributeError, LookupError, TypeError, ValueError)):
        read(event)
