"""How many words a sentence shares with each part of some sources that can be quoted. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from llm_api.core.rag.sentences import sentences, trimmed
from llm_api.core.rag.types import Span
from llm_api.core.rag.words import fold

Terms: TypeAlias = Mapping[str, float]
"""Each term of a text, and what it weighs there."""

Numbers: TypeAlias = npt.NDArray[np.floating]

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


def content_words(text: str) -> Iterator[str]:
    """The stems of a text that are no stop words, in their order."""
    words = _TERM.findall(fold(text))
    return (word[:_STEM_CHARACTERS] for word in words if word not in _STOP_WORDS)


class Passages:
    """What can be quoted of some sources: their sentences, and each with the one after it.

    `sentences` are the texts of the single ones. A position counts these first, then the pairs.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        places = [(n, span) for n, text in enumerate(sources) for span in quotable(text)]
        self.sentences = [sources[n][span.start : span.end] for n, span in places]
        followed = [at for at, (a, b) in enumerate(pairwise(places)) if a[0] == b[0]]
        self._first = np.array(followed, dtype=np.intp)
        pairs = [
            (places[at][0], Span(places[at][1].start, places[at + 1][1].end)) for at in followed
        ]
        self._places = [*places, *pairs]
        self._owners = np.array([n for n, _ in self._places], dtype=np.intp)
        self._sources = sources
        self._index([self.text(position) for position in range(len(self))])

    def __len__(self) -> int:
        return len(self._places)

    def place(self, position: int) -> tuple[int, Span]:
        """The source, from 0, and where in it the passage stands."""
        return self._places[position]

    def text(self, position: int) -> str:
        source, span = self._places[position]
        return self._sources[source][span.start : span.end]

    def of(self, source: int) -> Numbers:
        """1 for the passages of this source, 0 for those of others."""
        return np.where(self._owners == source, 1.0, 0.0)

    def overlaps(self, claim: Terms) -> Numbers:
        """F-measure of the terms that a claim shares with each passage, from 0 to 1.

        Recall of the claim's terms counts for more.
        """
        shared = np.zeros(len(self))
        for term, weight in claim.items():
            if term in self._postings:
                positions, weights = self._postings[term]
                shared[positions] += np.minimum(weights, weight)
        recall = shared / (sum(claim.values()) or 1.0)
        precision = shared / self._totals
        both = np.where(shared > 0, _BETA_SQUARED * precision + recall, 1.0)
        return np.asarray((1 + _BETA_SQUARED) * precision * recall / both)

    def similarities(self, claim: Numbers, sentences: Numbers) -> Numbers:
        """Cosines of a claim's vector with each passage, from those of the single sentences.

        All have unit length. A pair's vector is the mean of its sentences'.
        """
        pairs = sentences[self._first] + sentences[self._first + 1]
        lengths = np.maximum(np.linalg.norm(pairs, axis=1), 1e-12)
        return np.asarray(np.concatenate([sentences @ claim, (pairs @ claim) / lengths]))

    def _index(self, texts: Sequence[str]) -> None:
        postings: dict[str, tuple[list[int], list[float]]] = {}
        totals = []
        for position, text in enumerate(texts):
            found = terms(text)
            totals.append(sum(found.values()) or 1.0)
            for term, weight in found.items():
                positions, weights = postings.setdefault(term, ([], []))
                positions.append(position)
                weights.append(weight)
        self._totals = np.array(totals)
        self._postings = {
            term: (np.array(positions, dtype=np.intp), np.array(weights))
            for term, (positions, weights) in postings.items()
        }


def quotable(text: str) -> Iterator[Span]:
    """The sentences of a text, the longest of them line by line."""
    for span in sentences(text):
        if span.end - span.start <= _LONG_SENTENCE:
            yield span
        else:
            for line in _LINE.finditer(text, span.start, span.end):
                yield from trimmed(text, line.start(), line.end())
