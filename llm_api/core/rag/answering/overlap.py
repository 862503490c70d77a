"""How many words two texts share, and which part of a source shares most. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

from llm_api.core.rag.sentences import sentences, trimmed
from llm_api.core.rag.types import Span
from llm_api.core.rag.words import fold

Terms: TypeAlias = Mapping[str, float]
"""Each term of a text, and what it weighs there."""

_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TERM: Final = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_STOP_WORDS: Final = frozenset(
    re.findall(
        r"\S+",
        """a about after all also an and any are as at be because been before being between both but
        by can could did do does for from had has have having he her his how i if in into is it its
        may might more most no not of on only or other our out over same she should so some such
        than that the their them then there these they this those through to under up was we were
        what when where which while who why will with would you your""",
    )
)
_STOP_WEIGHT: Final = 0.1
_STEM_CHARACTERS: Final = 5  # cut words stand in for a stemmer, in any language
_BETA_SQUARED: Final = 4.0
"""That the source has the claim's terms counts for more than that it has no others."""

_LINE: Final = re.compile(r"\S[^\n]*")
_LONG_SENTENCE: Final = 600  # characters; tables and code are read line by line


@lru_cache(maxsize=4096)
def terms(text: str) -> Terms:
    """The words of a text, cut to their stems; stop words hardly count."""
    words = _TERM.findall(fold(text))
    counts = Counter(
        (word[:_STEM_CHARACTERS], _STOP_WEIGHT if word in _STOP_WORDS else 1.0) for word in words
    )
    return {stem: weight * count for (stem, weight), count in counts.items()}


def overlap(claim: Terms, source: Terms) -> float:
    """F-measure of the shared terms, from 0 to 1: recall of the claim's counts for more."""
    shared = sum(min(weight, source.get(term, 0.0)) for term, weight in claim.items())
    if not shared:
        return 0.0
    recall, precision = shared / sum(claim.values()), shared / sum(source.values())
    return (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)


def passages(text: str) -> Iterator[Span]:
    """What can be quoted of a text: its sentences, and each with the one after it."""
    spans: list[Span] = []
    for span in sentences(text):
        if span.end - span.start <= _LONG_SENTENCE:
            spans.append(span)
        else:
            lines = _LINE.finditer(text, span.start, span.end)
            spans += [next(trimmed(text, line.start(), line.end())) for line in lines]
    yield from spans
    yield from (Span(first.start, second.end) for first, second in pairwise(spans))
