"""Stop strings across the borders of pieces."""

import itertools

import pytest

from llm_api.core.llm.output.stop_strings import StopStrings


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
