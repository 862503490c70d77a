"""Sampling in numpy: filters as tables, draws counted."""

import math
from collections import Counter

import numpy as np
import pytest

from llm_api.core.llm.backends.drawing import Drawer, Logits, candidates
from llm_api.core.llm.engine.runner import DecodeError, DrawingRules
from llm_api.core.llm.types import Sampling

DRAWS = 4000


def row(*probabilities: float) -> Logits:
    """Logits with these probabilities; 0 is minus infinity."""
    with np.errstate(divide="ignore"):
        return np.log(np.array(probabilities, dtype=np.float32))


LIKELY = row(0.1, 0.5, 0.05, 0.3, 0.05)


def draw(sampling: Sampling, logits: Logits = LIKELY, times: int = 1) -> list[int]:
    drawer = Drawer(DrawingRules(sampling), ())
    return [drawer.draw(logits) for _ in range(times)]


def drawn_shares(sampling: Sampling, logits: Logits = LIKELY) -> dict[int, float]:
    counts = Counter(draw(sampling, logits, DRAWS))
    return {token: count / DRAWS for token, count in counts.items()}


@pytest.mark.parametrize(
    ("sampling", "tokens"),
    [
        (Sampling(), {0, 1, 2, 3, 4}),
        (Sampling(top_k=2), {1, 3}),
        (Sampling(top_k=99), {0, 1, 2, 3, 4}),
        (Sampling(top_p=0.0), {1}),
        (Sampling(top_p=0.49), {1}),
        (Sampling(top_p=0.75), {1, 3}),
        (Sampling(top_p=0.85), {0, 1, 3}),
        (Sampling(min_p=0.5), {1, 3}),
        (Sampling(min_p=1.0), {1}),
        (Sampling(typical_p=0.2), {3}),  # its surprise is nearest to the entropy, 1.24
        (Sampling(typical_p=0.7), {1, 3}),
        (Sampling(top_k=3, top_p=0.6), {1, 3}),  # of what top_k left
    ],
)
def test_filters_keep_what_their_papers_say(sampling: Sampling, tokens: set[int]) -> None:
    kept, _ = candidates(LIKELY, sampling)
    assert set(kept.tolist()) == tokens


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1.0, [0.2, 0.8]), (0.5, [1 / 17, 16 / 17]), (2.0, [1 / 3, 2 / 3]), (1e-300, [0.0, 1.0])],
)
def test_temperature_sharpens_and_flattens(temperature: float, expected: list[float]) -> None:
    _, weights = candidates(row(0.2, 0.8), Sampling(temperature=temperature))
    assert weights.tolist() == pytest.approx(expected, abs=1e-6)


def test_draws_follow_the_probabilities() -> None:
    shares = drawn_shares(Sampling(seed=5))
    assert [shares[token] for token in range(5)] == pytest.approx(
        [0.1, 0.5, 0.05, 0.3, 0.05], abs=0.03
    )


@pytest.mark.parametrize("seed", [0, -(2**63), 2**63 - 1 + 127])
def test_seed_repeats_the_draws(seed: int) -> None:
    first, again = (draw(Sampling(seed=seed), times=50) for _ in range(2))
    assert first == again
    assert first != draw(Sampling(seed=seed + 1), times=50)


def test_draws_without_a_seed_differ() -> None:
    assert draw(Sampling(), times=60) != draw(Sampling(), times=60)


def test_temperature_zero_is_greedy() -> None:
    assert draw(Sampling(temperature=0), times=3) == [1, 1, 1]


def test_bias_lifts_and_bans() -> None:
    bias = ((1, -100.0), (2, 50.0))
    assert set(draw(Sampling(logit_bias=bias), times=20)) == {2}
    assert draw(Sampling(temperature=0, logit_bias=((1, -100.0),))) == [3]


def test_banned_token_is_never_drawn() -> None:
    rules = DrawingRules(Sampling(temperature=0), banned=frozenset({1}))
    assert Drawer(rules, ()).draw(LIKELY) == 3


def test_penalties_grow_with_what_was_said() -> None:
    presence = Sampling(temperature=0, presence_penalty=2.0)
    assert draw(presence, times=3) == [1, 3, 0], "each of the three is as much less likely"
    frequency = Sampling(temperature=0, frequency_penalty=0.3)
    assert draw(frequency, times=5) == [1, 1, 3, 1, 3]


def test_repeat_penalty_knows_the_prompt() -> None:
    rules = DrawingRules(Sampling(temperature=0, repeat_penalty=2.0))
    logits = np.array([1.0, 3.0, 2.0, -1.0], dtype=np.float32)
    assert Drawer(rules, ()).draw(logits) == 1
    assert Drawer(rules, (1,)).draw(logits) == 2, "3 / 2 is less than 2"
    assert Drawer(rules, (1, *[0] * 64)).draw(logits) == 1, "64 tokens back are forgotten"


def test_row_of_logits_stays_as_it_is() -> None:
    logits = LIKELY.copy()
    draw(Sampling(logit_bias=((1, -3.0),), repeat_penalty=2.0, top_p=0.5), logits, times=2)
    assert np.array_equal(logits, LIKELY)


def test_impossible_tokens_are_no_candidates() -> None:
    logits = row(0.5, 0.0, 0.5)
    for sampling in (Sampling(), Sampling(typical_p=0.9), Sampling(top_p=0.99)):
        assert set(candidates(logits, sampling)[0].tolist()) == {0, 2}


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_row_without_a_finite_logit_is_an_error(value: float, temperature: float) -> None:
    logits = np.full(4, value, dtype=np.float32)
    with pytest.raises(DecodeError):
        draw(Sampling(temperature=temperature), logits)
