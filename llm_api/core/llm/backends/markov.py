"""The toy: a Markov chain over a page of fairy tales, which knows the last two words and no more.

It shows how a language model is used, token by token with real probabilities, where nothing can be
installed or downloaded. It does not understand a prompt: the last words of it that the tales hold
choose where it goes on, and no others count. It answers in English only, and in fairy tales.

What follows two words is looked up by both of them, and where the tales do not hold these two, by
the last one. The end of a tale follows its last words like any other.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.drawing import DRAWING_FIELDS, Drawer, Logits
from llm_api.core.llm.backends.words import WordBackend, last_words, split_words
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.engine.runner import DrawingRules
from llm_api.core.llm.types import ChatPrompt, GenerationRequest

MARKOV_CAPABILITIES: Final = Capabilities(
    frozenset({"chat", "text", "reasoning_budget"}), sampling=DRAWING_FIELDS - {"logit_bias"}
)

ORDER: Final = 2

_Key: TypeAlias = tuple[str, ...]
"""Up to ORDER words in small letters, without white space; no word is where a tale begins."""


class MarkovChain:
    """What follows what. Immutable once it is made."""

    def __init__(self, tales: Sequence[str]) -> None:
        """Learn from every tale, from its first word to its end."""
        counts: defaultdict[_Key, Counter[str]] = defaultdict(Counter)
        for tale in tales:
            words = split_words(tale)
            for position, word in enumerate([*words, ""]):
                for key in _keys(words[:position]):
                    counts[key][word] += 1
        self.words = sorted({word for following in counts.values() for word in following})
        """The vocabulary; an empty word is the end of a tale."""
        ids = {word: position for position, word in enumerate(self.words)}
        self._counts: Mapping[_Key, tuple[list[int], list[int]]] = {
            key: ([ids[word] for word in following], list(following.values()))
            for key, following in counts.items()
        }

    def known_end(self, words: Sequence[str]) -> list[str]:
        """As many of the last words as the chain can go on from; none is a beginning."""
        end = len(words)
        while end and not any(key in self._counts for key in _keys(words[:end])):
            end -= 1
        return list(words[max(end - ORDER, 0) : end])

    def logits(self, words: Sequence[str]) -> Logits:
        """Log of how often each word of the vocabulary came next; minus infinity for never."""
        ids, counts = next(self._counts[key] for key in _keys(words) if key in self._counts)
        row = np.full(len(self.words), -np.inf, dtype=np.float32)
        row[ids] = np.log(counts)
        return row


def _keys(words: Sequence[str]) -> list[_Key]:
    """What may be known of the words before: the last two, the last one; or that there are none."""
    plain = [word.strip().lower() for word in words[-ORDER:]]
    return [tuple(plain[start:]) for start in range(len(plain))] or [()]


class MarkovBackend(WordBackend):
    """Tells tales. Made by `open_markov`."""

    def __init__(self, card: ModelCard, chain: MarkovChain) -> None:
        super().__init__(card, self._tell)
        self._chain = chain

    def _tell(self, request: GenerationRequest) -> Iterator[str]:
        """Words until a tale ends; a new tale, where the prompt is the end of one."""
        drawer = Drawer(DrawingRules(request.sampling), ())
        known = self._chain.known_end(split_words(last_words(request.prompt)))
        first = self._next(known, drawer)
        words = [*known, first] if first else [self._next([], drawer)]
        yield words[-1].lstrip() if isinstance(request.prompt, ChatPrompt) else words[-1]
        while word := self._next(words, drawer):
            yield word
            words = [*words, word][-ORDER:]

    def _next(self, words: Sequence[str], drawer: Drawer) -> str:
        return self._chain.words[drawer.draw(self._chain.logits(words))]


async def open_markov(card: ModelCard) -> MarkovBackend:
    """Learn the tales, which takes some milliseconds. The chain has no context to fill."""
    chain = await asyncio.to_thread(_learn)
    card = replace(card, context_length=None, backend="markov", capabilities=MARKOV_CAPABILITIES)
    return MarkovBackend(card, chain)


def _learn() -> MarkovChain:
    corpus = Path(__file__).with_name("markov_corpus.txt").read_text(encoding="utf-8")
    return MarkovChain(corpus.strip().split("\n\n"))
