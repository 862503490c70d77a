"""Sampling in numpy, for models that llama.cpp does not run: from logits to a token.

The same stages in llama.cpp's order (engine/sampling.py): bias, penalties, filters, temperature,
draw. Of those that need more than a row and its history, none.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_api.core.llm.capabilities import SAMPLING_FIELDS, SWITCHES
from llm_api.core.llm.engine.runner import DecodeError, DrawingRules
from llm_api.core.llm.engine.sampling import find_bias, last_tokens
from llm_api.core.llm.types import Sampling

Logits: TypeAlias = NDArray[np.float32]
"""One row, shape (vocabulary,)."""

_ABSENT: Final = frozenset({"mirostat", "dry_multiplier", "xtc_probability", "dynatemp_range"})

DRAWING_FIELDS: Final = frozenset(
    name for name in SAMPLING_FIELDS if SWITCHES.get(name, name) not in _ABSENT
)
"""What of Sampling is honoured."""


class Drawer:
    """Draws the tokens of one answer. The same seed and logits give the same tokens."""

    def __init__(self, rules: DrawingRules, prompt: Sequence[int]) -> None:
        """`prompt` is what the repetition penalty knows at first. Ignores a constraint."""
        self._sampling = rules.sampling
        bias = find_bias(rules)
        self._biased = np.fromiter(bias.keys(), np.intp, len(bias))
        self._bias = np.fromiter(bias.values(), np.float32, len(bias))
        last = rules.sampling.repeat_last_n
        self._recent = deque(last_tokens(prompt, last), maxlen=None if last < 0 else last)
        self._counts: Counter[int] = Counter()
        seed = rules.sampling.seed
        self._random = np.random.default_rng(None if seed is None else seed % 2**64)

    def draw(self, logits: Logits) -> int:
        """Choose a token, and remember it. Raises DecodeError where none has a finite logit."""
        logits = self._changed(logits)
        if not np.isfinite(logits).any():
            raise DecodeError("no token can be drawn: no logit is finite")
        if self._sampling.temperature == 0:
            token = int(np.nanargmax(logits))
        else:
            tokens, weights = candidates(logits, self._sampling)
            sums = np.cumsum(weights)
            place = np.searchsorted(sums, self._random.random() * sums[-1], side="right")
            token = int(tokens[min(int(place), len(tokens) - 1)])
        self._recent.append(token)
        self._counts[token] += 1
        return token

    def _changed(self, logits: Logits) -> Logits:
        """The logits with bias and penalties; the row itself stays as it is."""
        logits = logits.copy()
        logits[self._biased] += self._bias
        sampling = self._sampling
        if sampling.repeat_penalty != 1.0 and self._recent:
            recent = np.fromiter(set(self._recent), np.intp)
            values = logits[recent]
            penalty = np.float32(sampling.repeat_penalty)
            logits[recent] = np.where(values > 0, values / penalty, values * penalty)
        if self._counts and (sampling.presence_penalty or sampling.frequency_penalty):
            said = np.fromiter(self._counts.keys(), np.intp, len(self._counts))
            counts = np.fromiter(self._counts.values(), np.float32, len(self._counts))
            logits[said] -= sampling.presence_penalty + sampling.frequency_penalty * counts
        return logits


def candidates(logits: Logits, sampling: Sampling) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Tokens that pass the filters, and their weights at a temperature above 0. Pure."""
    tokens = _most_likely(logits, sampling)
    values = logits[tokens].astype(np.float64)
    if sampling.typical_p < 1:
        tokens, values = _keep(_is_typical(_softmax(values), sampling.typical_p), tokens, values)
    if sampling.top_p < 1:
        likely = _softmax(values)
        is_needed = np.cumsum(likely) - likely < sampling.top_p
        is_needed[0] = True
        tokens, values = _keep(is_needed, tokens, values)
    if sampling.min_p > 0:
        likely = _softmax(values)
        tokens, values = _keep(likely >= sampling.min_p * likely.max(), tokens, values)
    with np.errstate(over="ignore"):  # what a tiny temperature makes infinitely unlikely is so
        return tokens, _softmax((values - values.max()) / sampling.temperature)


def _most_likely(logits: Logits, sampling: Sampling) -> NDArray[np.intp]:
    """Tokens with a finite logit, at most `top_k`; in descending order where filters follow."""
    tokens = np.flatnonzero(np.isfinite(logits))
    if 0 < sampling.top_k < len(tokens):
        tokens = tokens[np.argpartition(logits[tokens], -sampling.top_k)[-sampling.top_k :]]
    if sampling.top_k > 0 or sampling.top_p < 1:
        tokens = tokens[np.argsort(-logits[tokens])]
    return tokens


def _is_typical(likely: NDArray[np.float64], mass: float) -> NDArray[np.bool_]:
    """Locally typical sampling (Meister et al., 2022): those nearest to the expected surprise."""
    with np.errstate(divide="ignore"):
        surprise = -np.log(likely)
    entropy = float(np.sum(likely * np.where(likely > 0, surprise, 0)))
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    sums = np.cumsum(likely[order])
    is_kept = np.zeros(len(likely), dtype=np.bool_)
    is_kept[order[: int(np.searchsorted(sums, mass, side="right")) + 1]] = True
    return is_kept


def _keep(
    which: NDArray[np.bool_], tokens: NDArray[np.intp], values: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    return tokens[which], values[which]


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.exp(values - values.max())
    weights /= weights.sum()
    return weights
