"""Sampling in C: one llama.cpp sampler chain per sequence, and log-probabilities from the logits.

The order is llama-server's: bias, penalties, DRY, filters, XTC, temperature, draw. The bias is
added to the logits for as long as the draw takes, all else are stages of the chain; what is off has
no stage. Log-probabilities are those of the model itself, before any of that, as OpenAI reports
them.

The chain looks at every token of the vocabulary several times. It is not asked where the likeliest
token is all that is wanted, nor where temperature and `top_p` are all there is (`plain_draw.py`),
and not about tokens that a low temperature leaves no chance.

Every token of the answer is accepted by the chain exactly once, in order, whether it was drawn, was
drafted and then drawn, or was forced by a grammar; so what depends on tokens said, or on random
numbers used, is the same with drafts as without.
"""

import ctypes
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.engine.plain_draw import PlainDraw, is_plain, room_for
from llm_api.core.llm.engine.runner import DrawingRules
from llm_api.core.llm.types import SampledLogprob, Sampling, TokenLogprob

MOST_PREPARED = 8
"""Settings of DRY that are kept ready."""

BANNED_BIAS = -100.0
"""OpenAI's documentation: a bias of -100 should result in a ban."""


_NEARLY_BANNED = -1e6
"""Under a constraint: worse than any other token, yet there if the grammar allows nothing else."""

NEGLIGIBLE = 40.0
"""A token whose logit lies so much below the highest, in units of the temperature, is never drawn:
150,000 of them together have a chance of 1e-12."""

_CHILLY = 0.5
"""Temperatures up to which that leaves few tokens; above, to look for them saves nothing."""

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""The layout of `llama_token_data`."""


class Candidates:
    """Room for the tokens of one draw, used again by every draw of a context."""

    def __init__(self, vocabulary_size: int) -> None:
        self._library = load_library()
        self._room = np.zeros(vocabulary_size, dtype=_CANDIDATE)
        self.weights = room_for(vocabulary_size)

    @property
    def vocabulary_size(self) -> int:
        return len(self._room)

    def draw(self, chain: Any, allowed: NDArray[Any], logits: NDArray[np.float32]) -> int:
        """What the chain chooses of these tokens with their logits, as `llama_sampler_sample`."""
        candidates = self._room[: len(allowed)]
        candidates["id"], candidates["logit"] = allowed, logits
        array = self._library.llama_token_data_array(
            data=ctypes.cast(candidates.ctypes.data, self._library.llama_token_data_p),
            size=len(allowed),
            selected=-1,
            sorted=False,
        )
        self._library.llama_sampler_apply(chain, ctypes.byref(array))
        return int(array.data[array.selected].id)


class Bias:
    """What is added to the logits of single tokens."""

    def __init__(self, bias: Mapping[int, float]) -> None:
        self._tokens = np.fromiter(bias.keys(), np.intp, len(bias))
        self._values = np.fromiter(bias.values(), np.float32, len(bias))

    @contextmanager
    def added_to(self, logits: NDArray[np.float32]) -> Iterator[None]:
        """Change the logits meanwhile: they are the model's own again behind it."""
        if not len(self._tokens):
            yield
            return
        own = logits[self._tokens]
        logits[self._tokens] = own + self._values
        try:
            yield
        finally:
            logits[self._tokens] = own


class Repetitions:
    """Makes the stages that look at what was said before. `close` frees what is kept for it.

    DRY has to find its breakers in every token of the vocabulary (49,000: 60 ms), so
    that is done once for each setting, and copied.
    """

    def __init__(self, vocabulary: Any, vocabulary_size: int, window: int) -> None:
        """`vocabulary` is llama.cpp's. `window` bounds the tokens that are looked at."""
        self._library = load_library()
        self._vocabulary = vocabulary
        self._vocabulary_size = vocabulary_size
        self._window = window
        self._prepared: OrderedDict[tuple[object, ...], Any] = OrderedDict()

    def stages(self, sampling: Sampling, prompt: Sequence[int]) -> Iterator[Any]:
        """The stages that are on. Presence and frequency are those of the answer alone."""
        if sampling.repeat_penalty != 1.0 and (last := self._within(sampling.repeat_last_n)):
            yield self._told(
                self._penalties(last, sampling.repeat_penalty, 0.0, 0.0), last_tokens(prompt, last)
            )
        if sampling.presence_penalty or sampling.frequency_penalty:
            yield self._penalties(
                self._window, 1.0, sampling.frequency_penalty, sampling.presence_penalty
            )
        if sampling.dry_multiplier and (last := self._within(sampling.dry_penalty_last_n)):
            stage = self._library.llama_sampler_clone(self._dry(sampling, last))
            yield self._told(stage, last_tokens(prompt, last))

    def close(self) -> None:
        while self._prepared:
            self._library.llama_sampler_free(self._prepared.popitem()[1])

    def _within(self, last: int) -> int:
        return self._window if last < 0 else min(last, self._window)

    def _told(self, stage: Any, tokens: Sequence[int]) -> Any:
        """The stage, which has been told of these tokens."""
        for token in tokens:
            self._library.llama_sampler_accept(stage, token)
        return stage

    def _penalties(self, last: int, repeat: float, frequency: float, presence: float) -> Any:
        return self._library.llama_sampler_init_penalties(
            self._vocabulary_size, last, repeat, frequency, presence
        )

    def _dry(self, sampling: Sampling, last: int) -> Any:
        """A stage to copy, which has seen no token."""
        breakers = tuple(breaker.encode() for breaker in sampling.dry_sequence_breakers)
        numbers = sampling.dry_multiplier, sampling.dry_base, sampling.dry_allowed_length, last
        key = (*numbers, breakers)
        if key not in self._prepared:
            if len(self._prepared) == MOST_PREPARED:
                self._library.llama_sampler_free(self._prepared.popitem(last=False)[1])
            array = (ctypes.c_char_p * len(breakers))(*breakers)
            self._prepared[key] = self._library.llama_sampler_init_dry(
                self._vocabulary, *numbers, array, len(breakers)
            )
        self._prepared.move_to_end(key)
        return self._prepared[key]


class Sampler:
    """The chain of one sequence, and the constraint it obeys. `close` frees it."""

    def __init__(
        self,
        rules: DrawingRules,
        prompt: Sequence[int],
        candidates: Candidates,
        repetitions: Repetitions,
    ) -> None:
        self._library = load_library()
        self._constraint = rules.constraint
        self._candidates = candidates
        self._bias = Bias(find_bias(rules))
        size = candidates.vocabulary_size
        params = self._library.llama_sampler_chain_default_params()
        self._chain = self._library.llama_sampler_chain_init(params)
        looking_back = list(repetitions.stages(rules.sampling, prompt))
        self._plain: PlainDraw | None = None
        stages = looking_back
        if is_plain(rules.sampling) and not looking_back:
            self._plain = PlainDraw(rules.sampling, candidates.weights)
        else:
            stages = [*looking_back, *_choice(self._library, rules.sampling, size)]
        for stage in stages:
            self._library.llama_sampler_chain_add(self._chain, stage)
        self._is_greedy = not looking_back and rules.sampling.temperature == 0
        self._reach = math.inf if looking_back else _reach(rules.sampling)

    @property
    def stage_count(self) -> int:
        count: int = self._library.llama_sampler_chain_n(self._chain)
        return count

    def draw(self, context: Any, row: int) -> int:
        """Choose a token from the logits of this row of the last batch, and remember it.

        Raises ConstraintError.
        """
        logits = logits_view(self._library, context, row, self._candidates.vocabulary_size)
        if self._constraint is not None:
            return self.choose(logits, self._constraint.allowed())
        with self._bias.added_to(logits):
            if (place := self._chosen(logits)) is not None:
                return place
            if self._reach < math.inf:
                near = np.flatnonzero(logits >= logits.max() - self._reach)
                return self._drawn(near, logits[near])
            token: int = self._library.llama_sampler_sample(self._chain, context, row)
            return token

    def choose(self, logits: NDArray[np.float32], allowed: NDArray[np.int32]) -> int:
        """Choose one of the allowed tokens, and remember it."""
        with self._bias.added_to(logits):
            among = logits[allowed]
            if (place := self._chosen(among)) is not None:
                return int(allowed[place])
            if self._reach < math.inf:
                is_near = among >= among.max() - self._reach
                allowed, among = allowed[is_near], among[is_near]
            return self._drawn(allowed, among)

    def remember(self, token: int) -> None:
        """Take note of a token that was not drawn, but must follow."""
        self._library.llama_sampler_accept(self._chain, token)

    def _chosen(self, logits: NDArray[np.float32]) -> int | None:
        """The place in these where no chain is needed to choose; None where one is."""
        if self._is_greedy:
            return int(logits.argmax())
        return None if self._plain is None else self._plain.choose(logits)

    def _drawn(self, allowed: NDArray[Any], logits: NDArray[np.float32]) -> int:
        token = self._candidates.draw(self._chain, allowed, logits)
        self.remember(token)
        return token

    def close(self) -> None:
        self._library.llama_sampler_free(self._chain)


def _reach(sampling: Sampling) -> float:
    """How far below the highest logit a token may lie that is drawn; infinite where any may be."""
    is_plain = not sampling.mirostat and not sampling.dynatemp_range
    if is_plain and 0 < sampling.temperature <= _CHILLY:
        return NEGLIGIBLE * sampling.temperature
    return math.inf


def _choice(library: Any, sampling: Sampling, vocabulary_size: int) -> list[Any]:
    """Filters, temperature and draw; a lone arg-max where the temperature is 0."""
    if sampling.temperature == 0:
        return [library.llama_sampler_init_greedy()]
    # llama.cpp reads the largest 32-bit number as "draw a seed": no seed of ours becomes that.
    seed = (secrets.randbits(32) if sampling.seed is None else sampling.seed) % 0xFFFFFFFF
    temperature = _temperature(library, sampling)
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
        (
            sampling.xtc_probability > 0,
            lambda: library.llama_sampler_init_xtc(
                sampling.xtc_probability, sampling.xtc_threshold, 1, seed
            ),
        ),
    ]
    chosen = [make() for is_on, make in filters if is_on]
    return [*chosen, temperature, library.llama_sampler_init_dist(seed)]


def _temperature(library: Any, sampling: Sampling) -> Any:
    """One temperature, or one between two by how sure the model is."""
    if not sampling.dynatemp_range:
        return library.llama_sampler_init_temp(sampling.temperature)
    return library.llama_sampler_init_temp_ext(
        sampling.temperature, sampling.dynatemp_range, sampling.dynatemp_exponent
    )


def last_tokens(tokens: Sequence[int], last: int) -> Sequence[int]:
    """The last so many; all for -1. Pure."""
    return tokens if last < 0 else tokens[max(len(tokens) - last, 0) :]


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


def likeliest(logits: NDArray[np.float32], room: NDArray[np.float32]) -> tuple[int, float]:
    """The likeliest token, and its probability. `room`, of the same shape, is written over."""
    token = int(logits.argmax())
    np.subtract(logits, logits[token], out=room)
    return token, 1 / float(np.exp(room, out=room).sum())


def logits_view(library: Any, context: Any, row: int, size: int) -> NDArray[np.float32]:
    """The logits of one row as llama.cpp holds them: valid until the next decode, not a copy."""
    pointer = library.llama_get_logits_ith(context, row)
    address = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(address, shape=(size,))
