from collections import Counter

import pytest

from llm_api.core.llm.gateway.routing.choice import FEW, SPREAD, least_busy, nearest
from llm_api.core.llm.gateway.routing.replica import Replica
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


BEGINNINGS = [index.to_bytes(8) for index in range(2000)]


def test_a_beginning_leads_to_the_same_replica_again_and_beginnings_to_all_by_their_weights() -> (
    None
):
    everyone = replicas(1, 3)
    led = [nearest(everyone, one).name for one in BEGINNINGS]
    assert led == [nearest(replicas(1, 3)[::-1], one).name for one in BEGINNINGS]
    assert 0.22 < led.count("0") / len(led) < 0.28


def test_while_a_replica_is_away_only_its_own_beginnings_lead_elsewhere() -> None:
    everyone = replicas(1, 1, 1)
    for one in BEGINNINGS:
        usual = nearest(everyone, one)
        left = [replica for replica in everyone if replica.name != "1"]
        assert nearest(left, one) is usual or usual.name == "1"


def test_one_beginning_alone_overloads_nobody() -> None:
    everyone = replicas(1, 1, 2)
    for asked in range(1, 401):
        nearest(everyone, b"the same").running += 1
        for one in everyone:
            assert one.running < max(SPREAD * asked * one.weight / 4 + 1, FEW + 1)
    assert sum(one.running for one in everyone) == 400
