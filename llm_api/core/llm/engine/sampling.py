"""Sampling in C: one llama.cpp sampler chain per sequence, and log-probabilities from the logits.

The order of the chain is llama.cpp's own: bias, penalties, filters, temperature, draw. Log-
probabilities are those of the model itself, before any of that, as OpenAI reports them.
"""

import ctypes
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.engine.runner import DrawingRules
from llm_api.core.llm.types import SampledLogprob, Sampling, TokenLogprob

REPEAT_WINDOW = 64
"""Last tokens, prompt included, that `repeat_penalty` looks at: llama.cpp's own default."""

BANNED_BIAS = -100.0
"""OpenAI's documentation: a bias of -100 should result in a ban."""


_NEARLY_BANNED = -1e6
"""Under a constraint: worse than any other token, yet there if the grammar allows nothing else."""

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""The layout of `llama_token_data`."""


class Candidates:
    """Room for the tokens of one draw, used again by every draw of a context."""

    def __init__(self, vocabulary_size: int) -> None:
        self._library = load_library()
        self._room = np.zeros(vocabulary_size, dtype=_CANDIDATE)

    @property
    def vocabulary_size(self) -> int:
        return len(self._room)

    def draw(self, chain: Any, logits: NDArray[np.float32], allowed: NDArray[np.int32]) -> int:
        """What the chain chooses of the allowed tokens, as `llama_sampler_sample` of all."""
        candidates = self._room[: len(allowed)]
        candidates["id"], candidates["logit"] = allowed, logits[allowed]
        array = self._library.llama_token_data_array(
            data=ctypes.cast(candidates.ctypes.data, self._library.llama_token_data_p),
            size=len(allowed),
            selected=-1,
            sorted=False,
        )
        self._library.llama_sampler_apply(chain, ctypes.byref(array))
        return int(array.data[array.selected].id)


class Sampler:
    """The chain of one sequence, and the constraint it obeys. `close` frees it."""

    def __init__(
        self, rules: DrawingRules, prompt: Sequence[int], candidates: Candidates, window: int
    ) -> None:
        """`window` bounds the answer tokens that presence and frequency penalties look at."""
        self._library = load_library()
        self._constraint = rules.constraint
        self._candidates = candidates
        vocabulary_size = candidates.vocabulary_size
        params = self._library.llama_sampler_chain_default_params()
        self._chain = self._library.llama_sampler_chain_init(params)
        for stage in _stages(self._library, rules, prompt, vocabulary_size, window):
            self._library.llama_sampler_chain_add(self._chain, stage)

    def draw(self, context: Any, row: int) -> int:
        """Choose a token from the logits of this row of the last batch, and remember it.

        Raises ConstraintError.
        """
        if self._constraint is not None:
            allowed = self._constraint.allowed()
            logits = logits_view(self._library, context, row, self._candidates.vocabulary_size)
            token = self._candidates.draw(self._chain, logits, allowed)
            self.remember(token)
        else:
            token = self._library.llama_sampler_sample(self._chain, context, row)
        return token

    def remember(self, token: int) -> None:
        """Take note of a token that was not drawn, but must follow."""
        self._library.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        self._library.llama_sampler_free(self._chain)


def _stages(
    library: Any, rules: DrawingRules, prompt: Sequence[int], vocabulary_size: int, window: int
) -> list[Any]:
    sampling = rules.sampling
    stages = []
    if bias := find_bias(rules):
        array = (library.llama_logit_bias * len(bias))(*bias.items())
        stages.append(library.llama_sampler_init_logit_bias(vocabulary_size, len(bias), array))
    if sampling.repeat_penalty != 1.0:
        repeat = library.llama_sampler_init_penalties(
            vocabulary_size, REPEAT_WINDOW, sampling.repeat_penalty, 0.0, 0.0
        )
        for token in prompt[-REPEAT_WINDOW:]:
            library.llama_sampler_accept(repeat, token)
        stages.append(repeat)
    if sampling.presence_penalty or sampling.frequency_penalty:
        stages.append(
            library.llama_sampler_init_penalties(
                vocabulary_size,
                window,
                1.0,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            )
        )
    return stages + _choice(library, sampling, vocabulary_size)


def _choice(library: Any, sampling: Sampling, vocabulary_size: int) -> list[Any]:
    """Filters, temperature and draw; a lone arg-max where the temperature is 0."""
    if sampling.temperature == 0:
        return [library.llama_sampler_init_greedy()]
    # llama.cpp reads the largest 32-bit number as "draw a seed": no seed of ours becomes that.
    seed = (secrets.randbits(32) if sampling.seed is None else sampling.seed) % 0xFFFFFFFF
    temperature = library.llama_sampler_init_temp(sampling.temperature)
    if sampling.mirostat == 1:
        draw = library.llama_sampler_init_mirostat(
            vocabulary_size, seed, sampling.mirostat_tau, sampling.mirostat_eta, 100
        )
        return [temperature, draw]
    if sampling.mirostat == 2:
        draw = library.llama_sampler_init_mirostat_v2(
            seed, sampling.mirostat_tau, sampling.mirostat_eta
        )
        return [temperature, draw]
    filters: list[tuple[bool, Callable[[], Any]]] = [
        (sampling.top_k > 0, lambda: library.llama_sampler_init_top_k(sampling.top_k)),
        (
            sampling.typical_p < 1,
            lambda: library.llama_sampler_init_typical(sampling.typical_p, 1),
        ),
        (sampling.top_p < 1, lambda: library.llama_sampler_init_top_p(sampling.top_p, 1)),
        (sampling.min_p > 0, lambda: library.llama_sampler_init_min_p(sampling.min_p, 1)),
    ]
    chosen = [make() for is_on, make in filters if is_on]
    return [*chosen, temperature, library.llama_sampler_init_dist(seed)]


def find_bias(rules: DrawingRules) -> dict[int, float]:
    """What is added to the logits of single tokens; minus infinity bans one. Pure."""
    ban = -math.inf if rules.constraint is None else _NEARLY_BANNED
    bias = {
        token: value if value > BANNED_BIAS else ban for token, value in rules.sampling.logit_bias
    }
    return bias | dict.fromkeys(rules.banned, ban)


def logprobs(
    logits: NDArray[np.float32], chosen: int, top: int, token_bytes: Callable[[int], bytes]
) -> SampledLogprob:
    """Log-softmax of one row of logits, shape (vocabulary,). Pure.

    The chosen token, and the `top` most likely.
    """
    shifted = logits - logits.max()
    normaliser = math.log(float(np.exp(shifted, dtype=np.float64).sum()))

    def entry(token: int) -> TokenLogprob:
        return TokenLogprob(token_bytes(token), float(shifted[token]) - normaliser)

    best = np.argpartition(shifted, -top)[-top:] if top else np.empty(0, dtype=np.intp)
    ranked = sorted((int(token) for token in best), key=lambda token: (-shifted[token], token))
    return SampledLogprob(entry(chosen), tuple(entry(token) for token in ranked))


def logits_view(library: Any, context: Any, row: int, size: int) -> NDArray[np.float32]:
    """The logits of one row as llama.cpp holds them: valid until the next decode, not a copy."""
    pointer = library.llama_get_logits_ith(context, row)
    address = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(address, shape=(size,))
