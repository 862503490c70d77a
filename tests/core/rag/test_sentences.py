# ruff: noqa: RUF001 - the marks of other scripts are what this is about

import random
import time
from itertools import pairwise

import pytest

from llm_api.core.rag.sentences import sentences


def split(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("No stop at all", ["No stop at all"]),
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ("Dr. Smith paid $3.50 (approx. 3 EUR).", ["Dr. Smith paid $3.50 (approx. 3 EUR)."]),
        (
            "See Fig. 3 and No. 5. He said no. Then",
            ["See Fig. 3 and No. 5.", "He said no.", "Then"],
        ),
        (
            "J. R. Tolkien lived in the U.S. He wrote.",
            ["J. R. Tolkien lived in the U.S. He wrote."],
        ),
        ("Use e.g. this. It works.", ["Use e.g. this.", "It works."]),
        ('"Really?" he asked. "Yes." She left.', ['"Really?" he asked.', '"Yes."', "She left."]),
        ("(An aside.) [Another.] End", ["(An aside.)", "[Another.]", "End"]),
        ("so it was . the next one .", ["so it was .", "the next one ."]),
        ("and ... on it goes", ["and ... on it goes"]),
        ("one line\nthe next line. End", ["one line\nthe next line.", "End"]),
        ("a paragraph\n \nanother", ["a paragraph", "another"]),
        ("1. First\n2. Second\n- third", ["1. First", "2. Second", "- third"]),
        ("今日は晴れ。「雨」です！本当？はい", ["今日は晴れ。", "「雨」です！", "本当？", "はい"]),
        ("यह एक है। वह दो है।", ["यह एक है।", "वह दो है।"]),
        ("Visit example.com or file.txt now.", ["Visit example.com or file.txt now."]),
    ],
)
def test_text_is_split_where_a_reader_would_pause(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_part_of_a_text_is_split_at_its_own_positions() -> None:
    text = "Before. One. Two. After."
    assert [text[span.start : span.end] for span in sentences(text, 8, 17)] == ["One.", "Two."]


def test_every_character_but_white_space_is_in_one_sentence() -> None:
    walk = random.Random(7)
    for _ in range(300):
        text = "".join(walk.choices("ab1.!?。 \n\t\"')-([A…", k=walk.randrange(80)))
        spans = list(sentences(text))
        assert "".join("".join(text[span.start : span.end].split()) for span in spans) == "".join(
            text.split()
        )
        assert all(a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize(
    "unit", [".", "\n", "\n ", ". ", "a.b", " ", "'", ".'", "A. ", "\n- ", "(", "。", "1. "]
)
def test_time_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    text = unit * (400_000 // len(unit)) + "x"
    before = time.thread_time()
    for _ in sentences(text):
        pass
    assert time.thread_time() - before < 5  # a square would take minutes
