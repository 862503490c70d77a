import pytest

from llm_api.core.rag.answering.differences import DENIED, ELSEWHERE, MISSING, SWAPPED, difference


@pytest.mark.parametrize(
    ("claim", "passage", "expected"),
    [
        ("A ticket costs 12 euros.", "A ticket costs 12 euros.", 0),
        ("A ticket costs twelve euros.", "A ticket costs 14 euros.", 0),
        ("A ticket costs 12 euros.", "A ticket costs 14 euros.", MISSING),
        ("It took 12 of 14 days.", "It took 14 days.", MISSING / 2),
        ("Up to 60,000 euros at 7.10.", "Up to 60000 euros at 7:10.", 0),
        ("2. The fee is 5 euros.", "The fee is 5 euros.", 0),
        ("In 2031 it was 5 euros.", "It was 5 euros.", ELSEWHERE / 2),
    ],
)
def test_numbers_that_a_passage_has_not_count_against_it(
    claim: str, passage: str, expected: float
) -> None:
    source = f"{passage} That was in 2031."
    assert difference(claim, passage, source) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("claim", "passage", "are_swapped"),
    [
        ("Adults pay 7 euros, children 12.", "Adults pay 12 euros, children 7 euros.", True),
        ("The bridge has 4 lanes and 90 lamps.", "There are 90 lanes and 4 lamps on it.", True),
        ("It is open from 17 to 9.", "It is open from 9 to 17.", True),
        ("Children pay 7 euros, adults 12.", "Adults pay 12 euros, children 7.", False),
        ("In 1990 there were 40 members.", "There were 40 members in 1990.", False),
        ("Of 40 members 12 came.", "12 of the 40 members came.", False),
        ("It has 3 doors.", "It has 3 doors and 3 gates.", False),
    ],
)
def test_numbers_in_each_others_place_count_against_a_passage(
    claim: str, passage: str, are_swapped: bool
) -> None:
    assert difference(claim, passage, passage) == (SWAPPED if are_swapped else 0)


@pytest.mark.parametrize(
    ("claim", "passage", "is_denied"),
    [
        ("It is sealed against rain.", "It is not sealed against rain.", True),
        ("It is not sealed.", "It is sealed against rain.", True),
        ("It isn\u2019t sealed.", "It is sealed.", True),
        ("The lens is sealed.", "Das Objektiv ist nicht sealed.", True),
        ("The bread does not contain yeast.", "No yeast is added.", False),
        ("It stays in winter.", "It does not migrate and stays in winter.", False),
        ("It is sealed.", "It is not only sealed but heated.", False),
        ("See No. 5.", "See number 5.", False),
    ],
)
def test_what_one_denies_and_the_other_says_counts_against_it(
    claim: str, passage: str, is_denied: bool
) -> None:
    assert difference(claim, passage, passage) == (DENIED if is_denied else 0)
