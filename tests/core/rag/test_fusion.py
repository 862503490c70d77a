import numpy as np
import pytest

from llm_api.core.rag.fusion import FLOOR, fuse, smooth


def fused(dense: list[float], sparse: list[float], shares: tuple[float, float]) -> list[float]:
    """Without the floor."""
    scores = fuse(np.array(dense, np.float32), np.array(sparse, np.float32), shares)
    return [float(score) * (1 + FLOOR) - FLOOR for score in scores]


@pytest.mark.parametrize(
    ("dense", "sparse", "shares", "wanted"),
    [
        ([0.4, 0.2, 0.3], [0.0, 0.0, 0.0], (1, 0), [1, 0, 0.5]),
        ([0.2, 0.1, -0.1], [0.0, 30.0, 10.0], (0, 1), [0, 1, 1 / 3]),
        ([0.3, 0.1, 0.2], [0.0, 30.0, 10.0], (0.5, 0.5), [0.5, 0.5, 0.25 + 1 / 6]),
        ([0.3, 0.1, 0.2], [0.0, 30.0, 10.0], (0.2, 0.8), [0.2, 0.8, 0.1 + 0.8 / 3]),
        ([0.3, 0.1], [0.0, 0.0], (0.5, 0.5), [0.5, 0]),
        ([0.7], [3.0], (0.75, 0.25), [1]),
        ([0.7], [0.0], (0.75, 0.25), [0.75]),
        ([], [], (0.5, 0.5), []),
    ],
)
def test_scores_are_scaled_and_added_by_their_shares(
    dense: list[float], sparse: list[float], shares: tuple[float, float], wanted: list[float]
) -> None:
    assert fused(dense, sparse, shares) == pytest.approx(wanted, abs=1e-6)


def test_hit_that_is_last_in_both_has_a_score() -> None:
    scores = fuse(np.array([0.9, 0.1], np.float32), np.array([4, 0], np.float32), (0.5, 0.5))
    assert 0 < scores[1] < scores[0] <= 1


def at(*degrees: float) -> np.typing.NDArray[np.float32]:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_chunk_among_good_ones_passes_one_that_stands_alone() -> None:
    """Six are about the same, of which the fifth scores little; the last is like the worst."""
    vectors = at(0, 1, 2, 3, 4, 90, 91, 92, 93, 94)
    scores = np.array([0.9, 0.9, 0.85, 0.8, 0.4, 0.5, 0.1, 0.1, 0.1, 0.1], np.float32)
    smoothed = smooth(scores, vectors, 6)
    assert scores[4] < scores[5]
    assert smoothed[4] > smoothed[5]


def test_smoothed_scores_stay_within_those_that_were_given() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = random.random(50).astype(np.float32)
    for neighbours in (1, 6, 12):
        smoothed = smooth(scores, vectors, neighbours)
        assert scores.min() <= smoothed.min() < smoothed.max() <= scores.max()


@pytest.mark.parametrize(("count", "neighbours"), [(0, 6), (1, 6), (5, 0)])
def test_without_neighbours_scores_stay_as_they_are(count: int, neighbours: int) -> None:
    scores = np.arange(count, dtype=np.float32)
    assert list(smooth(scores, at(*range(count)), neighbours)) == list(scores)


def test_chunk_without_a_vector_or_unlike_all_keeps_its_score() -> None:
    vectors = np.concatenate([at(0, 180), np.zeros((1, 2), np.float32)])
    scores = np.array([0.9, 0.5, 0.1], np.float32)
    assert list(smooth(scores, vectors, 6)) == list(scores)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_candidates_keep_their_order(count: int) -> None:
    scores = np.linspace(1, 0, count, dtype=np.float32)
    smoothed = smooth(scores, at(*range(count)), 6)
    assert list(np.argsort(-smoothed)) == list(range(count))
