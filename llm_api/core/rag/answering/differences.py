"""What a passage says otherwise than a sentence that is like it: numbers and denials. Pure.

Two sentences are alike in words and in meaning though the one has 12 where the other has 14, or a
"not". Covers numbers in digits, two of them that changed places, and what a sentence of English or
German denies where the other one denies nothing. Does not cover numbers in words, three that
changed places among other words, who "it" is.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations, islice
from typing import Final

from llm_api.core.rag.answering.overlap import content_words
from llm_api.core.rag.words import fold

MISSING: Final = 0.5
"""Where all numbers of the sentence are missing in the whole source."""

SWAPPED: Final = 0.5
"""Where two numbers stand in each other's place."""

ELSEWHERE: Final = 0.05
"""Where they stand in the source, but not in the passage."""

DENIED: Final = 0.5
"""Where the one denies what the other says."""

_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_ITEM: Final = re.compile(r"\s*\d{1,3}[.)]\s")  # of a list that only the sentence is in
_SEPARATOR: Final = str.maketrans("", "", ".,:")
_DENIAL: Final = re.compile(
    r"\b(?:not(?!\s+only\b)|no(?!\.)|never|none|nobody|nothing|cannot|without|neither|nor"
    r"|nicht(?!\s+nur\b)|kein(?:e[mnrs]?)?|nie|niemals|niemand|ohne)\b|n['\u2019]t\b"
)
_REACH: Final = 60  # characters behind a denial in which the word stands that it is about


def difference(claim: str, passage: str, source: str) -> float:
    """What is to be taken off the likeness of a sentence and a passage of a source."""
    return _by_numbers(claim, passage, source) + _by_denial(claim, passage)


def _by_numbers(claim: str, passage: str, source: str) -> float:
    wanted = _numbers(_ITEM.sub("", claim, count=1) if _ITEM.match(claim) else claim)
    missing = wanted - _numbers(passage)
    if not missing:
        return SWAPPED if len(wanted) > 1 and _are_swapped(claim, passage) else 0.0
    nowhere = missing - _numbers(source)
    elsewhere = len(missing) - len(nowhere)
    return (MISSING * len(nowhere) + ELSEWHERE * elsewhere) / len(wanted)


def _are_swapped(claim: str, passage: str) -> bool:
    """Whether two numbers of the claim stand in the passage where the other one does.

    Where both texts are the same but for their numbers, these have to come in the same order.
    Otherwise a number stands with the nearest word of those that both texts have once.
    """
    first, second = _words_and_numbers(claim), _words_and_numbers(passage)
    if list(map(_but_numbers, first)) == list(map(_but_numbers, second)):
        return first != second
    ours, theirs = _neighbours(first, second), _neighbours(second, first)
    return any(
        ours[one] == theirs[other] != ours[other] == theirs[one]
        for one, other in combinations(ours.keys() & theirs.keys(), 2)
    )


def _but_numbers(entry: tuple[str, bool]) -> str:
    text, is_number = entry
    return "" if is_number else text


def _neighbours(
    text: Sequence[tuple[str, bool]], other: Sequence[tuple[str, bool]]
) -> dict[str, str]:
    """The nearest word of each number that stands once in a text; of two, the one behind it."""
    counts, others = Counter(text), Counter(other)
    words = {
        at: entry[0]
        for at, entry in enumerate(text)
        if not entry[1] and counts[entry] == others[entry] == 1
    }
    if not words:
        return {}
    return {
        entry[0]: words[min((abs(at - place), place < at, place) for place in words)[2]]
        for at, entry in enumerate(text)
        if entry[1] and counts[entry] == 1
    }


@lru_cache(maxsize=1024)
def _words_and_numbers(text: str) -> tuple[tuple[str, bool], ...]:
    """Numbers and the stems of words that carry meaning, in their order; which are numbers."""
    found: list[tuple[str, bool]] = []
    position = 0
    for number in _NUMBER.finditer(text):
        found += ((word, False) for word in content_words(text[position : number.start()]))
        found.append((number.group().translate(_SEPARATOR), True))
        position = number.end()
    found += ((word, False) for word in content_words(text[position:]))
    return tuple(found)


def _by_denial(claim: str, passage: str) -> float:
    """Where both deny something, it is taken for the same."""
    in_claim, in_passage = _denied(claim), _denied(passage)
    if bool(in_claim) == bool(in_passage):
        return 0.0
    denies, says = (in_claim, passage) if in_claim else (in_passage, claim)
    return 0.0 if denies.isdisjoint(content_words(says)) else DENIED


@lru_cache(maxsize=1024)
def _numbers(text: str) -> frozenset[str]:
    """With 60,000 as 60000, and 7:10 as 7.10."""
    return frozenset(number.translate(_SEPARATOR) for number in _NUMBER.findall(text))


@lru_cache(maxsize=1024)
def _denied(text: str) -> frozenset[str]:
    """The first word that carries meaning behind each denial."""
    folded = fold(text)
    behind = (folded[found.end() : found.end() + _REACH] for found in _DENIAL.finditer(folded))
    return frozenset(word for rest in behind for word in islice(content_words(rest), 1))
