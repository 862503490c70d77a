import pytest

from scripts.bench.statistics import gaps_within, paired_ratio, percentile, rank_correlation


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5.0], 99, 5.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 99, 4.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 102)], 99, 100.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_percentile_is_the_nearest_rank(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == expected


def test_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({0: 2.0, 1: 30.0, 2: 3.0}, {0: 1.0, 1: 10.0, 2: 1.0}, 3.0),
        ({0: 2.0, 1: 8.0}, {1: 4.0}, 2.0),
        ({0: 2.0}, {1: 4.0}, None),
        ({0: 2.0}, {0: 0.0}, None),
        ({}, {}, None),
    ],
)
def test_ratio_is_the_median_of_the_rounds_that_both_played(
    ours: dict[int, float], theirs: dict[int, float], expected: float | None
) -> None:
    assert paired_ratio(ours, theirs) == expected


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([10.0, 20.0, 21.0, 400.0], 1.0),
        ([4.0, 3.0, 2.0, 1.0], -1.0),
        ([1.0, 1.0, 2.0, 2.0], 0.8944),
        ([2.0, 1.0, 4.0, 3.0], 0.6),
    ],
)
def test_rank_correlation_looks_at_the_order_alone(others: list[float], expected: float) -> None:
    assert rank_correlation([1.0, 2.0, 3.0, 4.0], others) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((0.0, 10.0), [1.0, 3.0, 1.0]),
        ((2.0, 3.0), [3.0]),
        ((1.0, 4.0), [3.0]),
        ((0.5, 1.5), [1.0, 3.0]),
        ((5.0, 9.0), []),
    ],
)
def test_gaps_that_overlap_the_window_count_whole(
    window: tuple[float, float], expected: list[float]
) -> None:
    assert gaps_within([0.0, 1.0, 4.0, 5.0], *window) == expected
