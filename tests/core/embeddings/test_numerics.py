import numpy as np
import pytest

from llm_api.core.embeddings.numerics import cosines, is_exact_enough


def test_cosines_do_not_depend_on_lengths() -> None:
    exact = np.array([[1, 0], [0, 2], [3, 3]], dtype=np.float32)
    others = np.array([[5, 0], [0, 0.1], [1, 0]], dtype=np.float32)
    mean, worst = cosines(exact, others)
    assert worst == pytest.approx(np.sqrt(0.5))
    assert mean == pytest.approx((2 + np.sqrt(0.5)) / 3)


@pytest.mark.parametrize(
    ("mean", "worst", "expected"),
    [(0.999, 0.99, True), (0.9989, 0.99, False), (1.0, 0.989, False)],
)
def test_both_bounds_have_to_be_kept(mean: float, worst: float, expected: bool) -> None:
    assert is_exact_enough(mean, worst) is expected
