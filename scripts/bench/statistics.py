"""Medians, percentiles and ratios of measured figures. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import correlation, median


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of `values` do not exceed (nearest rank).

    Raises ValueError where there are no values.
    """
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def paired_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """Median of the ratios of the rounds that both measured, by round number.

    Both sides of a pair were measured within a minute of each other, so a machine that slows down
    later does not bend the ratio. None where no round has both, or a divisor is 0.
    """
    rounds = sorted(ours.keys() & theirs.keys())
    if not rounds or any(theirs[number] == 0 for number in rounds):
        return None
    return median(ours[number] / theirs[number] for number in rounds)


def rank_correlation(ones: Sequence[float], others: Sequence[float]) -> float:
    """Spearman's: the correlation of the ranks, equal values sharing theirs."""
    return correlation(_ranks(ones), _ranks(others))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    return [(bisect_left(order, one) + bisect_right(order, one) - 1) / 2 for one in values]


def gaps_within(times: Sequence[float], start: float, end: float) -> list[float]:
    """The gaps between successive `times` that overlap the window from `start` to `end`.

    A gap that began before the window, or ends after it, counts whole: that is the pause somebody
    sees.
    """
    return [
        later - earlier for earlier, later in pairwise(times) if later > start and earlier < end
    ]
