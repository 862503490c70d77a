"""What is recorded comes back as it was, and equal requests have the same key."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from llm_api.core.llm.gateway.response_cache.recorded import (
    MAX_ANSWER_BYTES,
    Recorder,
    key_of,
    replayed,
)
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    JSONFormat,
    Message,
    ReasoningDelta,
    RequestContext,
    Sampling,
    ServedBy,
    Started,
    TextDelta,
    TextPrompt,
    Timings,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
    Usage,
)
from tests.fakes import sampled

HELLO = GenerationRequest(TextPrompt("Hello"), 5)
ANSWER: list[Event] = [
    Started(7, ServedBy("stub", fallback="echo")),
    ReasoningDelta("Hm.\n"),
    TextDelta("Grüße \ud83d", (sampled(b"\xf0\x9f", -0.25, (b"a", float("-inf"))),)),
    TextDelta(""),
    ToolCallStarted(0, "call_1", "f"),
    ToolCallDelta(0, '{"type": "bytes"}'),
    Finished("tool_calls", Usage(7, 4, cached_tokens=3, reasoning_tokens=1), Timings(1, 2, 3)),
]


def recorded(events: Sequence[Event]) -> bytes | None:
    recorder = Recorder()
    for event in events:
        recorder.take(event)
    return recorder.answer


def test_an_answer_comes_back_event_by_event_with_nothing_waited_for_or_computed() -> None:
    answer = recorded(ANSWER)
    assert answer is not None
    expected = Finished("tool_calls", Usage(7, 4, cached_tokens=7, reasoning_tokens=1))
    assert list(replayed(answer)) == [*ANSWER[:-1], expected]


def test_an_answer_that_is_too_large_is_not_recorded() -> None:
    fits: list[Event] = [Started(1), TextDelta("a" * (MAX_ANSWER_BYTES - 500)), ANSWER[-1]]
    assert recorded(fits) is not None
    assert recorded([*fits[:2], TextDelta("b" * 500), ANSWER[-1]]) is None


CHAT = replace(
    HELLO,
    prompt=ChatPrompt((Message("user", "Hi"),), {"a": 1}, (ToolSpec("f", "", {"type": "object"}),)),
    tool_choice=ToolChoice("auto", frozenset(f"tool{number}" for number in range(9))),
    output_format=JSONFormat({"type": "object"}),
)


@pytest.mark.parametrize(
    "other",
    [
        replace(HELLO, prompt=TextPrompt("Hello ")),
        replace(HELLO, prompt=ChatPrompt((Message("user", "Hello"),))),
        replace(HELLO, max_tokens=6),
        replace(HELLO, sampling=Sampling(seed=1)),
        replace(HELLO, stop=("x",)),
        replace(HELLO, top_logprobs=0),
        replace(HELLO, ignore_eos=True),
        replace(HELLO, context=RequestContext("alice")),
        replace(HELLO, output_format=JSONFormat({})),
    ],
)
def test_whatever_decides_the_answer_decides_the_key(other: GenerationRequest) -> None:
    assert key_of(other, "m", "1") != key_of(HELLO, "m", "1")


def test_every_field_of_a_request_but_how_it_is_sent_is_in_the_key() -> None:
    assert key_of(replace(HELLO, context=RequestContext(is_whole=True)), "m", "1") == key_of(
        HELLO, "m", "1"
    )
    assert key_of(HELLO, "m", "2") != key_of(HELLO, "m", "1")
    assert key_of(HELLO, "n", "1") != key_of(HELLO, "m", "1")


def test_the_key_is_the_same_in_every_process() -> None:
    """A set has another order in each."""
    code = (
        "from tests.core.llm.gateway.response_cache.test_recorded import CHAT, key_of;"
        "print(key_of(CHAT, 'm', '1'))"
    )
    keys = {
        subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert keys == {key_of(CHAT, "m", "1") + "\n"}


def test_the_order_of_a_schema_counts_as_it_orders_the_answer() -> None:
    schemas: list[dict[str, JSON]] = [{"a": 1, "b": 1}, {"b": 1, "a": 1}]
    assert schemas[0] == schemas[1]
    first, second = (replace(HELLO, output_format=JSONFormat(one)) for one in schemas)
    assert key_of(first, "m", "1") != key_of(second, "m", "1")
