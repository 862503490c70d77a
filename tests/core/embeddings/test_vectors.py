import numpy as np
import pytest

from llm_api.core.embeddings.vectors import (
    check_dimension,
    cosines,
    is_exact_enough,
    normalised,
    shorten,
)
from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError


@pytest.mark.parametrize(
    ("wanted", "trained", "allows_any"),
    [(8, (), False), (4, (2, 4), False), (3, (), True), (8, (2,), False)],
)
def test_a_length_that_means_something_is_accepted(
    wanted: int, trained: tuple[int, ...], allows_any: bool
) -> None:
    check_dimension(wanted, 8, trained, allows_any=allows_any, name="dimensions")


@pytest.mark.parametrize(
    ("wanted", "allows_any", "kind", "words"),
    [
        (9, True, InvalidRequestError, "vectors have 8 dimensions"),
        (3, False, UnsupportedParameterError, "trained for 2, 4 and 8 alone"),
    ],
)
def test_any_other_is_refused_by_name(
    wanted: int, allows_any: bool, kind: type[InvalidRequestError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        check_dimension(wanted, 8, (2, 4), allows_any=allows_any, name="dimensions")
    assert caught.value.param == "dimensions"


def test_what_is_shortened_has_length_one_again_and_points_the_same_way() -> None:
    vectors = np.array([[0.6, 0.0, 0.8], [0.0, -0.5, 0.1]], dtype=np.float32)
    assert shorten(vectors, 2).tolist() == [[1, 0], [0, -1]]
    assert shorten(vectors, 3) is vectors


def test_a_vector_of_zeros_stays_one() -> None:
    assert normalised(np.zeros((1, 2), dtype=np.float32)).tolist() == [[0, 0]]


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
