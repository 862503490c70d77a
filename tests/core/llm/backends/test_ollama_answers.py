"""Lines of Ollama's streams, and what they are to us."""

import json
from typing import Any

import pytest

from llm_api.core.errors import UpstreamError
from llm_api.core.llm.backends.ollama_answers import OllamaReader
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
from llm_api.core.upstream import UpstreamServer

ORIGIN = UpstreamServer("http://ollama", "OLLAMA_API_KEY")


def read(*lines: dict[str, Any], max_calls: int | None = None) -> list[Event]:
    reader = OllamaReader(ORIGIN, max_calls, iter(("id-0", "id-1")).__next__)
    return [event for line in lines for event in reader.read(json.dumps(line).encode())]


def said(**message: Any) -> dict[str, Any]:
    return {"done": False, "message": {"role": "assistant", "content": "", **message}}


def done(reason: str = "stop", **others: Any) -> dict[str, Any]:
    return {**said(), "done": True, "done_reason": reason, **others}


def called(name: str, **others: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": {"ü": 1}}, **others}


def test_text_and_thoughts() -> None:
    assert read(said(thinking="Hm"), said(content="Hi"), said(), done()) == [
        Started(None),
        ReasoningDelta("Hm"),
        TextDelta("Hi"),
        Finished("stop", Usage(0, 0)),
    ]


def test_raw_text() -> None:
    chunk = {"done": False, "response": "Hi"}
    assert read(chunk, {**chunk, "response": "", "done": True, "done_reason": "length"}) == [
        Started(None),
        TextDelta("Hi"),
        Finished("length", Usage(0, 0)),
    ]


def test_counts_and_durations() -> None:
    counts: dict[str, Any] = {"prompt_eval_count": 26, "eval_count": 3}
    durations: dict[str, Any] = {
        "load_duration": 1_000_000_000,
        "prompt_eval_duration": 500_000_000,
        "eval_duration": 250_000_000,
    }
    assert read(done(**counts, **durations))[-1] == Finished(
        "stop", Usage(26, 3), Timings(1.0, 0.5, 0.25)
    )


def test_calls_come_whole_and_get_an_id_where_they_have_none() -> None:
    two = said(tool_calls=[called("a"), called("b", id="call_b")])
    assert read(two, said(tool_calls=[called("c")]), done()) == [
        Started(None),
        ToolCallStarted(0, "id-0", "a"),
        ToolCallDelta(0, '{"ü": 1}'),
        ToolCallStarted(1, "call_b", "b"),
        ToolCallDelta(1, '{"ü": 1}'),
        ToolCallStarted(2, "id-1", "c"),
        ToolCallDelta(2, '{"ü": 1}'),
        Finished("tool_calls", Usage(0, 0)),
    ]


def test_calls_beyond_the_first_are_left_out_where_one_is_allowed() -> None:
    calls = said(tool_calls=[called("a"), called("b")])
    assert read(calls, said(tool_calls=[called("c")]), done(), max_calls=1) == [
        Started(None),
        ToolCallStarted(0, "id-0", "a"),
        ToolCallDelta(0, '{"ü": 1}'),
        Finished("tool_calls", Usage(0, 0)),
    ]


@pytest.mark.parametrize(
    ("reason", "calls", "expected"),
    [("stop", [], "stop"), ("stop", [called("a")], "tool_calls"), ("length", [], "length")],
)
def test_why_it_ended(reason: str, calls: list[Any], expected: FinishReason) -> None:
    finished = read(said(tool_calls=calls), done(reason))[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == expected


def test_a_failure_in_the_stream_is_told() -> None:
    with pytest.raises(UpstreamError, match=r"http://ollama failed: out of memory"):
        read(said(content="Hi"), {"error": "out of\nmemory"})


@pytest.mark.parametrize(
    "line",
    [
        [],
        {},
        {"done": False},
        {"done": True, "message": {}},
        done("load"),
        said(content=5),
        said(thinking=["Hm"]),
        said(tool_calls=[{}]),
        said(tool_calls=[{"function": {"name": "a", "arguments": 5}}]),
        done(eval_count="many"),
    ],
)
def test_anything_else_is_not_understood(line: Any) -> None:
    with pytest.raises((AttributeError, LookupError, TypeError, ValueError)):
        read(line)
