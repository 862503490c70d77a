"""Every format: recognised, written, and read however its text is cut."""

import random

import pytest

from llm_api.core.llm.output.dialect import recognise
from llm_api.core.llm.output.formats import recognise_formats
from llm_api.core.llm.output.reader import OutputReader
from tests.core.llm.output.format_samples import ARGUMENTS, SAMPLES, Sample
from tests.core.llm.output.reading import AUTO, Folded, fold, request

CALLS = [["get_weather", ARGUMENTS], ["now", "{}"]]

every_format = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.template)


def reader(sample: Sample) -> OutputReader:
    return recognise(sample.template, {}).plan(request(AUTO)).reader


def read(sample: Sample, *pieces: str) -> Folded:
    return fold(reader(sample), pieces)


@every_format
def test_a_format_is_recognised_by_its_template(sample: Sample) -> None:
    assert recognise_formats(sample.template)[0] is sample.format


def test_a_template_without_a_known_format_is_taught_the_one_of_hermes() -> None:
    assert recognise_formats("{{ messages }}") == (SAMPLES[0].format,)


@every_format
def test_calls_are_read(sample: Sample) -> None:
    assert read(sample, sample.text) == Folded(calls=CALLS[: sample.calls])


@every_format
def test_every_cut_in_two_reads_the_same(sample: Sample) -> None:
    for position in range(len(sample.text)):
        cut = read(sample, sample.text[:position], sample.text[position:])
        assert cut == Folded(calls=CALLS[: sample.calls]), sample.text[:position]


@every_format
def test_many_small_pieces_read_the_same(sample: Sample) -> None:
    randomness = random.Random(4)
    for longest in (1, 2, 5, 9):
        pieces: list[str] = []
        rest = sample.text
        while rest:
            length = randomness.randint(1, longest)
            pieces, rest = [*pieces, rest[:length]], rest[length:]
        assert read(sample, *pieces) == Folded(calls=CALLS[: sample.calls])


@every_format
def test_calls_are_written_as_they_are_read(sample: Sample) -> None:
    form = sample.format
    calls = [
        ("get_weather", form.arguments.write({"city": "Paris", "days": 3})),
        ("now", form.arguments.write({})),
    ][: sample.calls]
    assert read(sample, form.write(calls)) == Folded(calls=CALLS[: sample.calls])


@every_format
def test_a_call_that_is_cut_gives_what_there_is(sample: Sample) -> None:
    whole = read(sample, sample.text)
    for position in range(len(sample.text)):
        cut = read(sample, sample.text[:position])
        given = [name for name, _ in cut.calls]
        assert given == [name for name, _ in whole.calls[: len(given)]]
        for (_, arguments), (_, expected) in zip(cut.calls, whole.calls, strict=False):
            assert expected.startswith(arguments)
        if not given:
            assert sample.text[:position].startswith(cut.text), "what is no call is text"


@every_format
def test_a_call_to_an_unknown_function_is_text(sample: Sample) -> None:
    assert read(sample, sample.text.replace("weather", "wealth")).calls[:1] != CALLS[:1]
    text = sample.format.write([("get_wealth", sample.format.arguments.write({}))])
    if not sample.format.text_opening:
        assert read(sample, text) == Folded(text)


@every_format
def test_text_before_calls_is_text(sample: Sample) -> None:
    if sample.format.is_anywhere:
        folded = read(sample, "Let me see.\n\n" + sample.text)
        assert folded == Folded("Let me see.", calls=CALLS)


@every_format
def test_other_white_space_reads_the_same(sample: Sample) -> None:
    if sample.format.arguments.notation == "json" and "\n" in sample.text:
        assert read(sample, sample.text.replace("\n", "\n \n")).calls == CALLS[: sample.calls]
    assert read(sample, f"\n{sample.text}\n").calls == CALLS[: sample.calls]


@every_format
def test_ordinary_text_comes_through_unchanged(sample: Sample) -> None:
    for text in (
        "Hello there.\n",
        "  indented",
        '{"name": "Alice", "arguments": "none"}',
        "[1, 2] and <b>bold</b> and ```json\n{}\n``` and a < b > c ",
        "now\nthen",
    ):
        assert read(sample, *text) == Folded(text)
