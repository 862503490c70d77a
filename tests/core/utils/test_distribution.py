"""Values between bounds."""

from math import inf

import pytest

from llm_api.core.utils.distribution import Distribution


def test_a_bound_counts_what_is_not_above_it() -> None:
    distribution = Distribution((1, 2, 4))
    distribution.add_all([0.5, 1, 1.5, 2, 5])
    assert distribution.cumulative() == [(1, 2), (2, 4), (4, 4), (inf, 5)]
    assert distribution.total == 10


def test_a_block_that_fails_takes_time_as_well() -> None:
    distribution = Distribution((10,))
    with pytest.raises(KeyError), distribution.timed():
        raise KeyError
    assert distribution.cumulative()[0] == (10, 1)
    assert 0 < distribution.total < 10
