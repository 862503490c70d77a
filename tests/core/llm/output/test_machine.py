"""Bytes in, whole characters out."""

from llm_api.core.llm.output.machine import OutputMachine
from llm_api.core.llm.types import SampledLogprob, TextDelta, TokenLogprob


def logprob(data: bytes) -> SampledLogprob:
    return SampledLogprob(TokenLogprob(data, -1.0))


def texts(deltas: list[TextDelta | None]) -> list[str | None]:
    return [delta.text if delta else None for delta in deltas]


def test_half_a_character_is_held_until_it_is_whole() -> None:
    machine = OutputMachine([])
    euro = "€".encode()
    deltas = [machine.feed(bytes([byte]), None) for byte in euro]
    assert texts(deltas) == [None, None, "€"]


def test_half_a_character_at_the_end_is_dropped() -> None:
    machine = OutputMachine([])
    machine.feed("a€".encode()[:-1], None)
    assert machine.flush() is None


def test_bytes_that_are_no_utf_8_become_replacement_characters() -> None:
    assert OutputMachine([]).feed(b"a\xffb", None) == TextDelta("a\ufffdb")


def test_a_stop_string_ends_the_text_before_it() -> None:
    machine = OutputMachine(["STOP"])
    assert texts([machine.feed(b"one ST", None), machine.feed(b"OP two", None)]) == ["one ", None]
    assert machine.has_stopped


def test_what_was_held_for_a_stop_comes_out_at_the_end() -> None:
    machine = OutputMachine(["STOP"])
    assert texts([machine.feed(b"ST", None), machine.flush()]) == [None, "ST"]


def test_log_probabilities_come_with_the_text_of_their_tokens() -> None:
    machine = OutputMachine(["STOP"])
    first = machine.feed(b"a", logprob(b"a"))
    held = machine.feed(b"S", logprob(b"S"))
    released = machine.feed(b"x", logprob(b"x"))
    assert first == TextDelta("a", (logprob(b"a"),))
    assert held is None
    assert released == TextDelta("Sx", (logprob(b"S"), logprob(b"x")))


def test_log_probabilities_of_what_a_stop_string_cut_are_not_told() -> None:
    machine = OutputMachine(["STOP"])
    machine.feed(b"ST", logprob(b"ST"))
    delta = machine.feed(b"OP", logprob(b"OP"))
    assert (delta, machine.has_stopped) == (None, True)


def test_log_probabilities_of_tokens_without_text_are_not_lost() -> None:
    machine = OutputMachine([])
    machine.feed("€".encode()[:1], logprob(b"\xe2"))
    assert machine.flush() == TextDelta("", (logprob(b"\xe2"),))
