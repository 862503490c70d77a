"""Text as BM25 weights: terms weighed by Qdrant's own model, whatever store is used.

The inverse document frequency is the store's business: it knows all documents.
"""

from dataclasses import dataclass

import qdrant_edge

from llm_api.core.rag.vector_store import FIRST_RULE, NEWEST_RULE
from llm_api.core.rag.words import terms_to_ask, terms_to_find

_MEAN_TERMS = 100.0
"""Terms of a usual chunk. With Qdrant's 256 nearly all would be short: length hardly counts."""


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Weights by the number of a term. Empty for a text of stop words alone."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


class Bm25:
    """English by default: its words are stemmed, those of other languages are taken as they are.

    A document is found by questions of the same `rule` alone, so a collection keeps the one it was
    built by. About 50 microseconds for a chunk in ASCII, which both rules cut alike, 200 for one
    that is not. Python does nothing else meanwhile.
    """

    def __init__(self, rule: int = NEWEST_RULE) -> None:
        self._rule = rule
        config = qdrant_edge.Bm25Config(avg_len=_MEAN_TERMS)
        self._words = qdrant_edge.Bm25(config)
        tokenizer = qdrant_edge.TokenizerType.Whitespace
        config = qdrant_edge.Bm25Config(avg_len=_MEAN_TERMS, tokenizer=tokenizer)
        self._terms = qdrant_edge.Bm25(config)

    def document(self, text: str) -> SparseVector:
        """Weights of a text that is to be found."""
        if self._is_cut_by_qdrant(text):
            return _plain(self._words.embed_document(text))
        return _plain(self._terms.embed_document(" ".join(terms_to_find(text))))

    def query(self, text: str) -> SparseVector:
        """Weights of a text to find others by."""
        if self._is_cut_by_qdrant(text):
            return _plain(self._words.embed_query(text))
        return _plain(self._terms.embed_query(" ".join(terms_to_ask(text))))

    def _is_cut_by_qdrant(self, text: str) -> bool:
        return self._rule == FIRST_RULE or text.isascii()


def _plain(vector: qdrant_edge.SparseVector) -> SparseVector:
    return SparseVector(tuple(vector.indices), tuple(vector.values))
