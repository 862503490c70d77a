from collections import Counter

import pytest

from llm_api.core.llm.gateway.routing.replica import Replica, least_busy
from tests.core.llm.gateway.routing.fakes import plan, replica


def replicas(*weights: float) -> list[Replica]:
    return [replica(plan(str(index)), weight) for index, weight in enumerate(weights)]


def test_the_one_with_the_fewest_running_for_its_weight_is_chosen() -> None:
    light, heavy = replicas(1, 3)
    light.running, heavy.running = 1, 2
    assert least_busy([light, heavy], [light, heavy]) is heavy
    heavy.running = 4
    assert least_busy([light, heavy], [light, heavy]) is light


def test_running_requests_spread_as_the_weights_say() -> None:
    everyone = replicas(1, 2, 3)
    for _ in range(60):
        least_busy(everyone, everyone).running += 1
    assert [one.running for one in everyone] == [10, 20, 30]


@pytest.mark.parametrize(("weights", "shares"), [((1, 1, 1), (4, 4, 4)), ((1, 3), (3, 9))])
def test_idle_ones_take_turns_as_their_weights_say(
    weights: tuple[float, ...], shares: tuple[int, ...]
) -> None:
    everyone = replicas(*weights)
    counts = Counter(least_busy(everyone, everyone).name for _ in range(12))
    assert tuple(counts[one.name] for one in everyone) == shares


def test_who_comes_back_does_not_make_up_for_missed_turns() -> None:
    everyone = replicas(1, 1)
    for _ in range(50):
        least_busy(everyone[:1], everyone)
    counts = Counter(least_busy(everyone, everyone).name for _ in range(10))
    assert max(counts.values()) <= 6
