"""Bytes in, whole characters out."""

import itertools

import pytest

from llm_api.core.llm.output.formats import HERMES
from llm_api.core.llm.output.machine import OutputMachine, StopStrings
from llm_api.core.llm.output.reader import OutputReader, ReadingRules
from llm_api.core.llm.output.reasoning import ReasoningMarks
from llm_api.core.llm.types import (
    AnswerDelta,
    ReasoningDelta,
    SampledLogprob,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    ToolSpec,
)

CALL = '<tool_call>{"name": "f", "arguments": {"x": "STOP"}}</tool_call>'
THINK = ReasoningMarks("<think>", "</think>")


def machine(*stops: str) -> OutputMachine:
    return OutputMachine(OutputReader(ReadingRules(), lambda: "id"), stops)


def calling(*stops: str, is_parallel: bool = True) -> OutputMachine:
    rules = ReadingRules((HERMES,), (), (ToolSpec("f"),), THINK, is_parallel=is_parallel)
    return OutputMachine(OutputReader(rules, lambda: "id"), stops)


def logprob(data: bytes) -> SampledLogprob:
    return SampledLogprob(TokenLogprob(data, -1.0))


def test_half_a_character_is_held_until_it_is_whole() -> None:
    reading = machine()
    euro = "€".encode()
    deltas = [reading.feed(bytes([byte]), None) for byte in euro]
    assert deltas == [[], [], [TextDelta("€")]]


def test_half_a_character_at_the_end_is_dropped() -> None:
    reading = machine()
    reading.feed("a€".encode()[:-1], None)
    assert reading.flush() == []


def test_bytes_that_are_no_utf_8_become_replacement_characters() -> None:
    assert machine().feed(b"a\xffb", None) == [TextDelta("a\ufffdb")]


def test_a_stop_string_ends_the_text_before_it() -> None:
    reading = machine("STOP")
    assert reading.feed(b"one ST", None) == [TextDelta("one ")]
    assert reading.feed(b"OP two", None) == []
    assert reading.has_stopped
    assert reading.flush() == []


def test_what_was_held_for_a_stop_comes_out_at_the_end() -> None:
    reading = machine("STOP")
    assert reading.feed(b"ST", None) == []
    assert reading.flush() == [TextDelta("ST")]


def test_log_probabilities_come_with_the_text_of_their_tokens() -> None:
    reading = machine("STOP")
    assert reading.feed(b"a", logprob(b"a")) == [TextDelta("a", (logprob(b"a"),))]
    assert reading.feed(b"S", logprob(b"S")) == []
    assert reading.feed(b"x", logprob(b"x")) == [TextDelta("Sx", (logprob(b"S"), logprob(b"x")))]


def test_log_probabilities_of_what_a_stop_string_cut_are_not_told() -> None:
    reading = machine("STOP")
    reading.feed(b"ST", logprob(b"ST"))
    assert reading.feed(b"OP", logprob(b"OP")) == []
    assert reading.has_stopped


def test_log_probabilities_of_tokens_without_text_are_not_lost() -> None:
    reading = machine()
    reading.feed("€".encode()[:1], logprob(b"\xe2"))
    assert reading.flush() == [TextDelta("", (logprob(b"\xe2"),))]


def told(reading: OutputMachine, *tokens: str) -> list[AnswerDelta]:
    """What comes of tokens that have a log-probability each."""
    fed = [reading.feed(token.encode(), logprob(token.encode())) for token in tokens]
    return [delta for deltas in (*fed, reading.flush()) for delta in deltas]


def test_log_probabilities_of_calls_and_thoughts_are_dropped() -> None:
    deltas = told(calling(), "<think>", "a", "</think>", "\n\n", "Hi", CALL, "\nbye")
    assert deltas == [
        ReasoningDelta("a"),
        TextDelta("Hi", (logprob(b"Hi"),)),
        ToolCallStarted(0, "id", "f"),
        ToolCallDelta(0, '{"x": "STOP"}'),
        TextDelta("bye"),  # its token began with what belongs to the call
    ]


def test_a_stop_string_is_looked_for_in_the_text_alone() -> None:
    reading = calling("STOP")
    told(reading, "<think>STOP</think>", "ST", CALL, "OP")
    assert not reading.has_stopped


def test_what_was_held_for_a_stop_comes_before_the_call_that_follows() -> None:
    assert told(calling("STOP"), "ST", CALL)[0] == TextDelta("ST", (logprob(b"ST"),))


def test_the_answer_is_over_with_the_only_call_that_is_allowed() -> None:
    reading = calling(is_parallel=False)
    told(reading, CALL)
    assert reading.has_stopped


def shown(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    """All that a reader sees, and whether a stop string ended it."""
    matcher = StopStrings(stops)
    text = ""
    for piece in pieces:
        more, stopped = matcher.feed(piece)
        text += more
        if stopped:
            return text, True
    return text + matcher.flush(), False


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        ([], "anything", ("anything", False)),
        (["END"], "a END b", ("a ", True)),
        (["END"], "a EN", ("a EN", False)),
        (["END"], "EENDX", ("E", True)),
        (["\n\n"], "one\ntwo\n\nthree", ("one\ntwo", True)),
        (["abc", "b"], "xabc", ("xa", True)),
        (["abab"], "ababab", ("", True)),
        (["aab"], "aaab", ("a", True)),
        (["ü!"], "grün ü!", ("grün ", True)),
    ],
)
def test_every_way_to_cut_the_text_shows_the_same(
    stops: list[str], text: str, expected: tuple[str, bool]
) -> None:
    for cuts in itertools.product([False, True], repeat=len(text) - 1):
        pieces, start = [], 0
        for position, cut in enumerate(cuts, start=1):
            if cut:
                pieces.append(text[start:position])
                start = position
        assert shown(stops, [*pieces, text[start:]]) == expected


def test_only_what_may_become_a_stop_is_held_back() -> None:
    matcher = StopStrings(["STOP"])
    assert matcher.feed("hello S") == ("hello ", False)
    assert matcher.feed("T") == ("", False)
    assert matcher.feed("ART") == ("START", False)
