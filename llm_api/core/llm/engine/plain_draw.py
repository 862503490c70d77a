"""Draws by temperature and `top_p` alone, the two that OpenAI's interface has, in whole arrays.

llama.cpp's stages go through the tokens one by one: 49,152 of them take 420 microseconds, 151,936
take 1,230; here it is 40 and 110. The distribution is the same: `top_p` counts the probabilities
that the model gives, the temperature is for those that are left.
"""

import numpy as np
from numpy.typing import NDArray

from llm_api.core.llm.types import Sampling

_BLOCK = 256
"""Weights that are added up at once: a running sum of all takes ten times as long."""

_SEEDS = 2**64


def is_plain(sampling: Sampling) -> bool:
    """Whether nothing but `top_p` stands between the logits and a draw. Pure."""
    has_filter = sampling.top_k > 0 or sampling.min_p > 0 or sampling.typical_p < 1
    has_other = sampling.mirostat or sampling.dynatemp_range or sampling.xtc_probability
    return sampling.temperature > 0 and not has_filter and not has_other


def room_for(vocabulary_size: int) -> NDArray[np.float32]:
    """Room for the weights of one draw, used again by every draw of a context."""
    return np.zeros(_padded(vocabulary_size), dtype=np.float32)


class PlainDraw:
    """The draws of one sequence, each with one random number. `room` is `room_for` its tokens."""

    def __init__(self, sampling: Sampling, room: NDArray[np.float32]) -> None:
        seed = None if sampling.seed is None else sampling.seed % _SEEDS
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
        self._room = room

    def choose(self, logits: NDArray[np.float32]) -> int:
        """The place of the token drawn in `logits`, of shape (tokens,)."""
        if self._top_p >= 1:
            return self._drawn(logits)
        nucleus = self._nucleus(logits)
        return int(nucleus[self._drawn(logits[nucleus])])

    def _drawn(self, logits: NDArray[np.float32]) -> int:
        blocks = self._weights(logits, self._temperature).reshape(-1, _BLOCK)
        reached = np.cumsum(blocks.sum(axis=1), dtype=np.float64)
        aim = self._random.random() * reached[-1]
        block = min(int(reached.searchsorted(aim, "right")), len(blocks) - 1)
        aim -= reached[block - 1] if block else 0.0
        place = int(np.cumsum(blocks[block], dtype=np.float64).searchsorted(aim, "right"))
        if place == _BLOCK:  # the two sums are rounded each in its way
            place = int(np.flatnonzero(blocks[block])[-1])
        return min(block * _BLOCK + place, len(logits) - 1)

    def _nucleus(self, logits: NDArray[np.float32]) -> NDArray[np.intp]:
        """The fewest tokens that have a probability of `top_p` together, the likeliest first."""
        weights = self._weights(logits, 1.0)[: len(logits)]
        total = float(weights.sum())
        # All that are less likely than this have no more than what the nucleus leaves over.
        least = (1 - self._top_p) * total / len(weights)
        likely = np.flatnonzero(~(weights < least))
        ranked = likely[weights[likely].argsort()[::-1]]
        reached = np.cumsum(weights[ranked], dtype=np.float64)
        return ranked[: int(reached.searchsorted(self._top_p * total)) + 1]

    def _weights(self, logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
        """In proportion to the probabilities, zeros behind them: valid until the next call."""
        room = self._room[: _padded(len(logits))]
        weights = room[: len(logits)]
        room[len(logits) :] = 0
        np.subtract(logits, logits.max(), out=weights)
        if temperature != 1:
            weights *= 1 / temperature
        np.exp(weights, out=weights)
        return room


def _padded(count: int) -> int:
    return -(-count // _BLOCK) * _BLOCK
