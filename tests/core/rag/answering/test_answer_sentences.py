import random
from collections.abc import Iterator

import pytest

from llm_api.core.rag.answering import answer_sentences as module
from llm_api.core.rag.answering.answer_sentences import (
    LONGEST,
    AnswerSentence,
    AnswerSentences,
    divided,
)
from llm_api.core.rag.sentences import sentences
from llm_api.core.rag.types import Span


def shown(answer: str) -> list[tuple[str, list[int]]]:
    """Each sentence with the numbers of its markers."""
    return [
        (answer[one.place.start : one.place.end], [marker.number for marker in one.markers])
        for one in divided(answer)
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", []),
        ("...", []),
        ("No marker [note] [0] [x1].", [("No marker [note] [0] [x1].", [])]),
        ("It is so [1].", [("It is so [1].", [1])]),
        ("It is so. [1] [2] Next.", [("It is so.", [1, 2]), ("Next.", [])]),
        ("It is so.[1] Next.", [("It is so.", [1]), ("Next.", [])]),
        ("[1] It is so. Next [2].", [("It is so.", [1]), ("Next [2].", [2])]),
        ("So ... [1]", [("So ...", [1])]),
        ("- one [1]\n- two [2]", [("- one", [1]), ("- two", [2])]),
        ("[2]", [("", [2])]),
    ],
)
def test_marker_belongs_to_the_last_sentence_before_it(
    answer: str, expected: list[tuple[str, list[int]]]
) -> None:
    assert shown(answer) == expected


def test_claim_has_blanks_for_markers_and_a_place_in_the_answer() -> None:
    first, second = divided("Yes. It is [12] so.")
    assert (first.claim, second.claim) == ("Yes.", "It is      so.")
    assert (second.place.start, second.markers[0].place.start) == (5, 11)


ANSWER = (
    "[1] It costs 3.50 euros. [2] See Dr. Smith [3]. (Or not!) He said: \u201cIt is so.\u201d [1]"
    "\n\n1. One [2]\n2. Two. [3][1] And J. Doe... [x] or [10 and 5 [2"
)


@pytest.mark.parametrize("seed", range(5))
def test_pieces_make_no_difference(seed: int) -> None:
    choose = random.Random(seed)
    reader, found, position = AnswerSentences(), list[AnswerSentence](), 0
    while position < len(ANSWER):
        size = choose.randint(1, 6)
        found += reader.add(ANSWER[position : position + size])
        position += size
    assert found + reader.rest() == divided(ANSWER)
    assert reader.text == ANSWER


def test_sentence_is_complete_when_another_word_follows() -> None:
    reader = AnswerSentences()
    assert reader.add("It costs 3.") == []
    assert reader.add("50 euros.") == []
    assert reader.add(" [1") == []
    assert reader.add("] ") == []
    [sentence] = reader.add("Next")
    assert [marker.number for marker in sentence.markers] == [1]
    assert [one.claim for one in reader.rest()] == ["Next"]
    assert reader.rest() == []


def test_long_answer_costs_no_more_for_each_piece_than_a_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = 0

    def sentences_and_note(text: str) -> Iterator[Span]:
        nonlocal read
        read += len(text)
        return sentences(text)

    monkeypatch.setattr(module, "sentences", sentences_and_note)
    reader = AnswerSentences()
    found = [one for _ in range(2000) for one in reader.add("It is so [1]. ")]
    assert len(found) == 1999
    assert read < 2000 * 4 * len("It is so [1]. ")


def test_text_without_an_end_is_cut() -> None:
    reader = AnswerSentences()
    pieces = ["word "] * (3 * LONGEST // 5)
    found = [one for piece in pieces for one in reader.add(piece)] + reader.rest()
    assert len(found) == 3
    assert all(one.place.end - one.place.start <= LONGEST + 5 for one in found)
