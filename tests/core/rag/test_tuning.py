"""How a search is tuned: to what is there, and not to luck."""

import numpy as np
import pytest

from llm_api.core.rag.tuning import (
    FOLDS,
    LEAST_QUESTIONS,
    MAX_TOP_K,
    SHARES,
    THRESHOLDS,
    WAYS,
    SearchCandidates,
    SearchChoice,
    SearchTrial,
    try_all,
    tune,
)
from llm_api.core.rag.vector_store import USUAL_WEIGHTS, HybridWeights

USUAL = SearchChoice()


def candidates(dense: list[float], sparse: list[float]) -> SearchCandidates:
    """A document each, called by its number; the first two have the same vector."""
    angles = [max(0, number - 1) for number, _ in enumerate(dense)]
    vectors = [np.array([np.cos(one), np.sin(one)], np.float32) for one in angles]
    names = [str(number) for number, _ in enumerate(dense)]
    return SearchCandidates(
        names, np.array(dense, np.float32), np.array(sparse, np.float32), vectors
    )


@pytest.mark.parametrize(
    ("share", "diversity", "order"),
    [
        (1, 0.0, [0, 1, 2, 3]),
        (0, 0.0, [3, 2]),
        (0.5, 0.0, [0, 3, 2, 1]),
        (0.9, 0.0, [0, 1, 2, 3]),
        (1, 0.3, [0, 2, 1, 3]),
    ],
)
def test_candidates_rank_as_a_search_would_find_them(
    share: float, diversity: float, order: list[int]
) -> None:
    found = candidates([0.9, 0.8, 0.7, 0.1], [0.0, 0.0, 2.0, 9.0])
    assert found.ranked(share, 0, diversity) == order


def test_trial_tells_what_each_way_and_each_threshold_finds() -> None:
    trial = try_all(candidates([0.9, 0.42, 0.1], [0.0, 1.0, 5.0]), {"1": 1}, cutoff=10)
    at_share = [trial.ndcg[SHARES.index(share), 0, 0, 0] for share in (0, 1)]
    assert at_share == pytest.approx([1 / np.log2(3)] * 2)
    by_threshold = trial.ndcg[SHARES.index(1), 0, 0]
    assert [bool(one) for one in by_threshold] == [one <= 0.4 for one in THRESHOLDS]
    assert list(trial.found[SHARES.index(1), 0, :3]) == [0, 1, 1]


def trial(ndcg: np.typing.ArrayLike, first: int = 1) -> SearchTrial:
    """`ndcg` by share, whatever the rest; the relevant document is in chunk `first`."""
    scores = np.asarray(ndcg, np.float64)[:, None, None, None]
    found = np.tile(np.arange(1, MAX_TOP_K + 1) >= first, (*WAYS[:2], 1)).astype(np.float64)
    return SearchTrial(np.broadcast_to(scores, WAYS), found)


def better_by_meaning(random: np.random.Generator) -> SearchTrial:
    return trial(np.array(SHARES) / 2 + random.normal(0, 0.1, len(SHARES)), first=5)


def luck(random: np.random.Generator) -> SearchTrial:
    return trial(random.normal(0.5, 0.2, len(SHARES)))


def test_what_is_better_is_found_and_is_better_for_unseen_questions() -> None:
    random = np.random.default_rng(0)
    found = tune({f"q{n}": better_by_meaning(random) for n in range(40)}, USUAL)
    assert found.is_better
    assert found.choice.mode == "dense"
    assert found.choice.weights == HybridWeights(1, 0)
    assert found.choice.top_k == 5
    assert found.gain == pytest.approx(found.ndcg - found.before)
    assert 0.15 < found.gain < 0.35


def test_luck_is_no_gain() -> None:
    tuned = [
        tune({f"q{seed}-{n}": luck(np.random.default_rng([seed, n])) for n in range(40)}, USUAL)
        for seed in range(20)
    ]
    assert sum(one.is_better for one in tuned) <= 2
    assert abs(np.mean([one.gain for one in tuned])) < 0.02


def test_nothing_better_leaves_the_search_as_it_is() -> None:
    found = tune({f"q{n}": trial(np.full(len(SHARES), 0.7)) for n in range(12)}, USUAL)
    assert not found.is_better
    assert (found.choice.mode, found.choice.weights) == ("hybrid", USUAL_WEIGHTS)
    assert (found.gain, found.error) == (0, 0)


def test_threshold_is_the_highest_that_takes_nearly_nothing() -> None:
    scores = np.zeros(WAYS)
    scores[:] = [0.8 if one <= 0.3 else 0.5 for one in THRESHOLDS]
    plain = trial(np.zeros(len(SHARES)))
    found = tune({f"q{n}": SearchTrial(scores, plain.found) for n in range(12)}, USUAL)
    assert found.choice.threshold == found.choice.score_threshold == 0.3
    assert SearchChoice(share=0.0, threshold=0.3).score_threshold is None


def test_few_questions_say_nothing() -> None:
    with pytest.raises(ValueError, match=str(LEAST_QUESTIONS)):
        tune({f"q{n}": trial(np.ones(len(SHARES))) for n in range(LEAST_QUESTIONS - 1)}, USUAL)
    assert FOLDS <= LEAST_QUESTIONS
