"""OpenAI's chunks as our events, from servers that know the protocol and servers that nearly do."""

import itertools
import json
from typing import Any

import pytest

from llm_api.core.errors import InvalidRequestError, UpstreamError
from llm_api.core.llm.backends.openai_answers import AnswerReader
from llm_api.core.llm.types import (
    AnswerDelta,
    Finished,
    ReasoningDelta,
    SampledLogprob,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.upstream import UpstreamServer


def reader(top_logprobs: int = 0) -> AnswerReader:
    numbers = itertools.count()
    return AnswerReader(
        UpstreamServer("http://elsewhere", "KEY"), top_logprobs, lambda: f"new{next(numbers)}"
    )


def chunk(reason: str | None = None, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
    return {"choices": [choice]}


def read(*chunks: object, top_logprobs: int = 0) -> tuple[list[AnswerDelta], Finished]:
    """All that an answer of these chunks says, and how it ends."""
    one = reader(top_logprobs)
    deltas = [delta for item in chunks for delta in one.read(json.dumps(item))]
    finished = one.finished()
    return deltas + one.end(), finished


def test_text_comes_as_it_is_and_usage_last() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    deltas, finished = read(
        chunk(role="assistant", content=""),
        chunk(content="Hel"),
        chunk(content="lo") | {"usage": None},
        chunk("stop"),
        {"choices": [], "usage": usage},
    )
    assert deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert finished == Finished("stop", Usage(5, 2, 3, 1))


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 5, "completion_tokens": 2},
        {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None},
        {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {}},
    ],
)
def test_usage_may_be_brief_and_come_with_the_last_choice(usage: dict[str, Any]) -> None:
    _, finished = read(chunk("stop", content="x") | {"usage": usage})
    assert finished.usage == Usage(5, 2)


def test_usage_that_is_not_told_is_not_guessed() -> None:
    one = reader()
    one.read(json.dumps(chunk("stop", content="some words")))
    assert one.usage is None
    assert one.finished().usage == Usage(0, 0)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_no_text(name: str) -> None:
    deltas, _ = read(chunk(**{name: "hm"}), chunk("stop", content="so"))
    assert deltas == [ReasoningDelta("hm"), TextDelta("so")]


def test_thoughts_under_both_names_are_thought_once() -> None:
    deltas, _ = read(chunk("stop", reasoning="hm", reasoning_content="hm"))
    assert deltas == [ReasoningDelta("hm")]


def test_a_refusal_is_text_that_the_reason_tells_from_an_answer() -> None:
    deltas, finished = read(chunk(refusal="I won't."), chunk("stop"))
    assert deltas == [TextDelta("I won't.")]
    assert finished.reason == "content_filter"


def call(index: int | None, id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    """One fragment of a call in a chunk. None is left out."""
    function = {"name": name, "arguments": arguments}
    fragment = {
        "index": index,
        "id": id,
        "function": {key: value for key, value in function.items() if value is not None},
    }
    return chunk(tool_calls=[{key: value for key, value in fragment.items() if value is not None}])


CALLS = [
    ToolCallStarted(0, "a", "add"),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(0, "1}"),
    ToolCallStarted(1, "b", "sub"),
    ToolCallDelta(1, "{}"),
]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                call(0, "a", "add", ""),
                call(0, None, None, '{"x":'),
                call(0, None, None, "1}"),
                call(1, "b", "sub", "{}"),
            ],
            id="as OpenAI does",
        ),
        pytest.param(
            [
                call(0, "a", "add", '{"x":'),
                call(0, "a", "add", "1}"),
                call(1, "b", "sub", None),
            ],
            id="id and name in every fragment, and no arguments at all",
        ),
        pytest.param(
            [call(0, "a", "add", '{"x":'), call(0, None, None, "1}"), call(0, "b", "sub", "{}")],
            id="every call at index 0",
        ),
        pytest.param(
            [
                call(None, "a", "add", '{"x":'),
                call(None, None, None, "1}"),
                call(None, "b", "sub", "{}"),
            ],
            id="no index",
        ),
        pytest.param(
            [
                call(None, "a", "add", '{"x":'),
                call(None, "a", None, "1}"),
                call(None, "b", "sub", "{}"),
            ],
            id="no index, and the id in every fragment",
        ),
        pytest.param(
            [
                call(7, "a", "add", '{"x":'),
                call(7, "another", None, "1}"),
                call(9, "b", "sub", ""),
            ],
            id="indices with holes, and ids that change",
        ),
    ],
)
def test_calls_are_told_apart(chunks: list[dict[str, Any]]) -> None:
    deltas, finished = read(*chunks, chunk("tool_calls"))
    assert deltas == CALLS
    assert finished.reason == "tool_calls"


def test_calls_without_an_id_get_one() -> None:
    whole = [call(None, None, "add", "{}"), call(None, None, "add", "{}")]
    deltas, _ = read(*whole, chunk("stop"))
    assert [delta.id for delta in deltas if isinstance(delta, ToolCallStarted)] == ["new0", "new1"]


@pytest.mark.parametrize(
    ("said", "has_call", "reason"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),  # a server that was told which function to call
        ("tool_calls", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("function_call", True, "tool_calls"),
        ("eos_token", False, "stop"),
        ("length", False, "length"),
        ("length", True, "length"),
        ("content_filter", False, "content_filter"),
    ],
)
def test_reasons_are_brought_into_line(said: str, has_call: bool, reason: str) -> None:
    calls = [call(0, "a", "add", "{}")] if has_call else []
    _, finished = read(*calls, chunk(said))
    assert finished.reason == reason


def test_a_call_that_was_required_and_not_made_is_a_failure() -> None:
    one = reader()
    one.must_call = True
    one.read(json.dumps(chunk("stop", content="I would rather talk.")))
    with pytest.raises(UpstreamError, match="made no call"):
        one.finished()


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_required_call_may_be_cut_or_withheld(reason: str) -> None:
    one = reader()
    one.must_call = True
    one.read(json.dumps(chunk(reason)))
    assert one.finished().reason == reason


def test_an_answer_without_its_end_is_no_answer() -> None:
    with pytest.raises(UpstreamError, match="before it was complete"):
        read(chunk(content="Hel"))


def test_an_answer_that_was_given_up_is_no_answer() -> None:
    with pytest.raises(UpstreamError, match="gave up its answer: abort"):
        read(chunk("abort"))


def test_an_error_in_place_of_a_chunk_is_raised() -> None:
    with pytest.raises(InvalidRequestError, match="too many tools"):
        read({"error": {"message": "too many tools", "code": 400}})


def test_an_error_that_is_null_is_none() -> None:
    assert read(chunk("stop") | {"error": None})[1].reason == "stop"


def token(text: str, logprob: float, data: list[int] | None = None) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": data}


def test_logprobs_of_a_conversation_know_bytes() -> None:
    said = token("\ufffd", -1.5, [0xE2, 0x82]) | {
        "top_logprobs": [token("b", -2.0), token("a", -0.5), token("c", -9.0)]
    }
    deltas, _ = read(chunk("stop", {"content": [said]}, content=""), top_logprobs=2)
    top = (TokenLogprob(b"a", -0.5), TokenLogprob(b"b", -2.0))
    assert deltas == [TextDelta("", (SampledLogprob(TokenLogprob(b"\xe2\x82", -1.5), top),))]


@pytest.mark.parametrize(
    "logprobs",
    [
        {
            "tokens": ["Hi"],
            "token_logprobs": [-0.5],
            "top_logprobs": [{"Ho": -1.0, "Hi": -0.5}],
            "text_offset": [0],
        },
        {"content": [token("Hi", -0.5) | {"top_logprobs": [token("Hi", -0.5), token("Ho", -1.0)]}]},
    ],
)
def test_a_raw_continuation_has_logprobs_in_either_form(logprobs: dict[str, Any]) -> None:
    choice = {"index": 0, "text": "Hi", "logprobs": logprobs, "finish_reason": "length"}
    hi, ho = TokenLogprob(b"Hi", -0.5), TokenLogprob(b"Ho", -1.0)
    deltas, finished = read({"choices": [choice]}, top_logprobs=5)
    assert deltas == [TextDelta("Hi", (SampledLogprob(hi, (hi, ho)),))]
    assert finished.reason == "length"


def test_logprobs_without_candidates_are_read() -> None:
    said = {"tokens": ["Hi"], "token_logprobs": [-0.5], "top_logprobs": None}
    choice = {"index": 0, "text": "Hi", "logprobs": said, "finish_reason": "stop"}
    deltas, _ = read({"choices": [choice]})
    assert deltas == [TextDelta("Hi", (SampledLogprob(TokenLogprob(b"Hi", -0.5)),))]


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[]",
        '"text"',
        "{}",
        '{"choices": 5}',
        '{"choices": [5]}',
        '{"choices": [{"delta": {"content": 5}}]}',
        '{"choices": [{"delta": {"content": [{"type": "text"}]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}',
        '{"choices": [{"delta": {}, "logprobs": {"content": [{}]}}]}',
        '{"choices": [], "usage": {"total_tokens": 5}}',
    ],
)
def test_what_is_no_chunk_is_told_by_errors_of_form(data: str) -> None:
    with pytest.raises((AttributeError, LookupError, TypeError, ValueError)):
        reader().read(data)
