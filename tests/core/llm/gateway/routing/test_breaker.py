import random

import pytest

from llm_api.core.llm.gateway.routing.breaker import Attempt, BreakerLimits, CircuitBreaker

LIMITS = BreakerLimits(failures=2, first_pause_seconds=1, longest_pause_seconds=5)


def opened(now: float = 0) -> CircuitBreaker:
    breaker = CircuitBreaker(LIMITS)
    for _ in range(LIMITS.failures):
        fail(breaker, now)
    return breaker


def fail(breaker: CircuitBreaker, now: float) -> None:
    attempt = breaker.begin()
    breaker.failed(attempt, now)
    breaker.leave(attempt)


def complete(breaker: CircuitBreaker) -> None:
    attempt = breaker.begin()
    breaker.answered(attempt)
    breaker.completed()
    breaker.leave(attempt)


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = CircuitBreaker(LIMITS)
    fail(breaker, 0)
    complete(breaker)
    fail(breaker, 0)
    assert breaker.admits(0)
    fail(breaker, 0)
    assert not breaker.admits(0.9)
    assert breaker.seconds_left(0.25) == 0.75


def test_after_its_pause_it_admits_one_trial_at_a_time() -> None:
    breaker = opened()
    assert breaker.admits(1)
    trial = breaker.begin()
    assert not breaker.admits(1)
    breaker.leave(trial)
    assert breaker.admits(1)


def test_pauses_grow_to_the_longest_and_shrink_with_a_complete_answer() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(5):
        pauses.append(breaker.seconds_left(now))
        now += pauses[-1]
        fail(breaker, now)
    assert pauses == [1, 2, 4, 5, 5]
    complete_after(breaker, now)
    for _ in range(LIMITS.failures):
        fail(breaker, now)
    assert breaker.seconds_left(now) == 1


def complete_after(breaker: CircuitBreaker, now: float) -> None:
    assert breaker.admits(now + breaker.seconds_left(now))
    complete(breaker)


def test_a_first_token_closes_it_but_the_next_failure_opens_it_for_longer() -> None:
    breaker = opened()
    trial = breaker.begin()
    breaker.answered(trial)
    assert breaker.admits(1)
    breaker.failed(trial, 1)
    assert breaker.seconds_left(1) == 2


def test_attempts_from_before_the_opening_change_nothing() -> None:
    breaker = CircuitBreaker(LIMITS)
    old = breaker.begin()
    fail(breaker, 0)
    fail(breaker, 0)
    breaker.failed(old, 0.5)
    breaker.answered(old)
    breaker.completed()
    breaker.leave(old)
    assert breaker.seconds_left(0.5) == 0.5
    trial = breaker.begin()
    breaker.leave(old)
    assert not breaker.admits(1)
    breaker.leave(trial)


def test_a_passed_check_ends_the_pause_and_failed_ones_open_it() -> None:
    breaker = opened()
    breaker.check_passed(0.1)
    assert breaker.admits(0.1)
    complete(breaker)
    breaker.check_failed(2)
    breaker.check_passed(2)
    assert breaker.admits(2)
    breaker.check_failed(2)
    breaker.check_failed(2.5)
    assert breaker.seconds_left(2.5) == 0.5


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_it_admits_somebody_within_the_longest_pause(seed: int) -> None:
    walk = random.Random(seed)
    breaker, now, running = CircuitBreaker(LIMITS), 0.0, list[Attempt]()
    for _ in range(300):
        now += walk.randrange(3) / 4
        if walk.random() < 0.5 and breaker.admits(now):
            running.append(breaker.begin())
        if running and walk.random() < 0.6:
            attempt = running.pop(walk.randrange(len(running)))
            step = walk.randrange(4)
            if step in {0, 1}:
                breaker.answered(attempt)
            if step in {1, 2}:
                breaker.failed(attempt, now)
            if step == 0:
                breaker.completed()
            breaker.leave(attempt)
        assert breaker.seconds_left(now) <= LIMITS.longest_pause_seconds
    for attempt in running:
        breaker.leave(attempt)
    assert breaker.admits(now + LIMITS.longest_pause_seconds)
