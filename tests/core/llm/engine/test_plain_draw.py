"""Draws by temperature and `top_p`: the chances they promise, and nothing that has none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_api.core.llm.engine.plain_draw import PlainDraw, is_plain, room_for
from llm_api.core.llm.types import Sampling

DRAWS = 20_000
VOCABULARY = 1_000  # no multiple of what is added up at once


def draws(sampling: Sampling, logits: NDArray[np.float32], count: int = DRAWS) -> NDArray[np.intp]:
    draw = PlainDraw(sampling, room_for(len(logits)))
    return np.array([draw.choose(logits) for _ in range(count)])


def chances(logits: NDArray[np.float32], temperature: float, top_p: float) -> NDArray[np.float64]:
    """By the definition, one token at a time."""
    model = np.exp(logits.astype(np.float64) - float(logits.max()))
    model /= model.sum()
    left = np.zeros(len(logits), dtype=bool)
    for token in np.argsort(-model):
        left[token] = True
        if model[left].sum() >= top_p:
            break
    tempered = np.where(left, np.power(model, 1 / temperature), 0)
    return np.asarray(tempered / tempered.sum(), dtype=np.float64)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("top_p", [1.0, 0.8, 0.0])
def test_every_token_is_drawn_as_often_as_its_chance_says(temperature: float, top_p: float) -> None:
    logits = np.random.default_rng(1).normal(0, 3, VOCABULARY).astype(np.float32)
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=5)
    counted = np.bincount(draws(sampling, logits), minlength=VOCABULARY)
    expected = chances(logits, temperature, top_p)
    assert not counted[expected == 0].any()
    spread = np.sqrt(DRAWS * expected * (1 - expected))
    assert (np.abs(counted - DRAWS * expected) <= 4.5 * spread + 2).all()


def test_a_banned_token_is_never_drawn() -> None:
    logits = np.full(VOCABULARY, -np.inf, dtype=np.float32)
    logits[[300, 999]] = 0.0
    for top_p in (1.0, 0.9):
        assert set(draws(Sampling(top_p=top_p, seed=1), logits, 200)) == {300, 999}


def test_what_the_last_draw_left_behind_counts_for_nothing() -> None:
    draw = PlainDraw(Sampling(seed=2), room_for(VOCABULARY))
    for size in (VOCABULARY, 3, 300, 1):
        assert max(draw.choose(np.zeros(size, dtype=np.float32)) for _ in range(50)) < size


def test_a_seed_repeats_and_none_does_not() -> None:
    logits = np.zeros(VOCABULARY, dtype=np.float32)
    for seed in (7, 0, -3):
        first, again = (draws(Sampling(seed=seed), logits, 20) for _ in range(2))
        assert np.array_equal(first, again)
    first, other = (draws(Sampling(), logits, 20) for _ in range(2))
    assert not np.array_equal(first, other)


def test_whatever_else_is_asked_for_is_left_to_the_chain() -> None:
    assert all(map(is_plain, (Sampling(), Sampling(temperature=0.2, top_p=0.5))))
    others = (
        Sampling(temperature=0),
        Sampling(top_k=40),
        Sampling(min_p=0.1),
        Sampling(typical_p=0.9),
        Sampling(mirostat=2),
        Sampling(dynatemp_range=0.5),
        Sampling(xtc_probability=0.1),
    )
    assert not any(map(is_plain, others))
