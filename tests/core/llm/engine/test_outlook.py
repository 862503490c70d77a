"""How far a request is, and when its answer will begin."""

import asyncio
from contextlib import aclosing

import pytest

from llm_api.core.errors import OverloadedError
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.engine import Engine
from llm_api.core.llm.engine.job import TokenJob, TokenRequest
from llm_api.core.llm.engine.outlook import Outlook
from llm_api.core.llm.engine.pace import MINUTE, EnginePace
from llm_api.core.llm.engine.plan import StepPlan, TokenSpan
from llm_api.core.llm.engine.runner import DrawingRules
from llm_api.core.llm.engine.scheduler import Scheduler, SchedulerLimits
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.slots import SlotTable
from llm_api.core.llm.observation import EngineSecond, SlotStatus
from llm_api.core.llm.progress import Journey, Progress
from llm_api.core.llm.types import Sampling
from tests.core.llm.engine.fake_runner import FakeRunner


def sequence(number: int, prompt: int, computed: int = 0, cached: int = 0) -> Sequence:
    made = Sequence(number, list(range(prompt)), prompt, prompt + 64)
    made.computed, made.cached = computed, cached
    return made


def job(
    of: Sequence, submitted: float = 0.0, admitted: float = 0.0, first_token: float = 0.0
) -> TokenJob:
    made = TokenJob(of, DrawingRules(Sampling()), submitted)
    made.admitted, made.first_token = admitted, first_token
    return made


def pace(read_speed: float | None = 100.0, service_seconds: float = 8.0) -> EnginePace:
    return EnginePace(read_speed=read_speed, service_seconds=service_seconds)


async def test_a_request_that_waits_knows_its_place_and_when_it_is_read() -> None:
    one, other = sequence(1, 200), sequence(2, 500)
    outlook = Outlook(pace(), parallel=4)
    running = [sequence(number, 10) for number in range(10, 14)]
    progress = outlook.progress(job(other, submitted=1.0), [one, other], running, now=4.0)
    assert (progress.state, progress.place_in_queue) == ("waiting", 2)
    assert (progress.waited_seconds, progress.read_seconds) == (3.0, 0.0)
    # Two places are free after half of the eight seconds that four requests take; then it is read.
    assert progress.seconds_left == 4.0 + 5.0


async def test_a_request_on_its_way_to_the_queue_is_behind_the_others() -> None:
    outlook = Outlook(pace(), parallel=1)
    progress = outlook.progress(job(sequence(2, 5)), [sequence(1, 5)], [], now=1.0)
    assert progress.place_in_queue == 2


async def test_where_places_are_free_nobody_waits_for_one() -> None:
    outlook = Outlook(pace(), parallel=4)
    assert [outlook.wait_seconds(place, running=2) for place in (1, 2, 3)] == [0.0, 0.0, 2.0]


async def test_a_prompt_that_is_read_has_its_own_speed() -> None:
    reading = sequence(1, 1000, computed=400, cached=200)
    progress = Outlook(pace(), 4).progress(job(reading, 1.0, 2.0), [], [reading], now=6.0)
    assert (progress.state, progress.read_tokens, progress.cached_tokens) == ("reading", 400, 200)
    assert (progress.waited_seconds, progress.read_seconds) == (1.0, 4.0)
    assert (progress.tokens_per_second, progress.seconds_left) == (50.0, 12.0)


async def test_before_that_it_is_the_engine_s_and_earlier_prompts_come_first() -> None:
    earlier, later = sequence(1, 301), sequence(2, 200)
    reading = job(later, 1.0, 2.0)
    running = [earlier, later]
    progress = Outlook(pace(), 4).progress(reading, [], running, now=2.0)
    assert (progress.tokens_per_second, progress.seconds_left) == (100.0, 5.01)
    unknown = Outlook(pace(read_speed=None), 4).progress(reading, [], running, now=2.0)
    assert (unknown.tokens_per_second, unknown.seconds_left) == (None, None)


async def test_an_answer_that_is_written_has_nothing_left_to_wait_for() -> None:
    writing = sequence(1, 100, computed=109)
    writing.tokens += range(10)
    progress = Outlook(pace(), 4).progress(job(writing, 1.0, 2.0, 4.0), [], [writing], now=9.0)
    assert progress == Progress(
        sequence=1,
        state="writing",
        prompt_tokens=100,
        cached_tokens=0,
        read_tokens=100,
        written_tokens=10,
        most_tokens=64,
        waited_seconds=1.0,
        read_seconds=2.0,
        written_seconds=5.0,
        tokens_per_second=2.0,
    )


def step(*spans: tuple[int, bool]) -> StepPlan:
    return StepPlan(
        spans=tuple(
            TokenSpan(number, number, 0, tuple(range(length)), samples)
            for number, (length, samples) in enumerate(spans)
        )
    )


def test_speeds_are_learnt_from_steps_that_say_something() -> None:
    pace = EnginePace()
    pace.take(step((4, False)), 0, 10.0, 10.5)
    assert [pace.read_speed] == [None]
    pace.take(step((64, False)), 0, 10.5, 11.0)
    assert pace.read_speed == 128.0
    pace.take(step((1, True), (1, True)), 2, 11.0, 11.5)
    assert (pace.read_speed, pace.write_speed) == (128.0, 4.0)


def test_the_last_minute_is_kept_second_by_second() -> None:
    pace = EnginePace()
    pace.take(step((64, False)), 0, 9.8, 10.0)
    pace.take(step((1, True), (1, True)), 2, 10.2, 10.5)
    pace.take(step((1, True)), 1, 11.0, 11.1)
    assert pace.minute(11.5)[-3:] == (
        EngineSecond(),
        EngineSecond(64, 2, 2, 3),
        EngineSecond(0, 1, 1, 1),
    )
    assert len(pace.minute(11.5)) == MINUTE
    assert set(pace.minute(11.0 + MINUTE)) == {EngineSecond()}


def test_how_long_a_place_is_held_is_known_from_the_first_request_on() -> None:
    pace = EnginePace()
    pace.served(30.0)
    assert pace.service_seconds == 30.0
    pace.served(10.0)
    assert pace.service_seconds == 20.0
    for _ in range(100):
        pace.served(5.0)
    assert 5.0 <= pace.service_seconds < 5.1


def test_a_journey_stays_where_it_was_left() -> None:
    journey = Journey()
    assert journey.progress() is None
    stops = iter([Progress(1, "reading", 9, 0, n, 0, 5) for n in (3, 6)])
    journey.follow(lambda: next(stops))
    seen = journey.progress()
    assert seen is not None
    assert seen.read_tokens == 3
    journey.leave()
    journey.leave()
    last = journey.progress()
    assert last is not None
    assert last.read_tokens == 6


async def test_the_engine_tells_how_far_a_request_is_and_what_its_slots_hold() -> None:
    async with aclosing(ComputeThread()) as compute:
        scheduler = Scheduler(SlotTable(3, 1000), SchedulerLimits(2, 64, 0.5))
        engine = Engine(compute, capacity=2, parallel=2)
        await engine.start(lambda: (scheduler, FakeRunner(3)))
        asked = TokenRequest(
            tuple(range(100)), 104, DrawingRules(Sampling()), frozenset(), "", journey=Journey()
        )
        async with engine.run(asked) as events:
            received = [event async for event in events]
        progress = asked.journey.progress()
        look = engine.status().look
        assert look is not None
        detail = look()
        async with engine.run(asked), engine.run(asked):
            with pytest.raises(OverloadedError) as refused:
                async with engine.run(asked):
                    pass
        await asyncio.sleep(0)
        await engine.aclose()
    assert len(received) == 4
    assert progress is not None
    assert (progress.state, progress.read_tokens, progress.written_tokens) == ("writing", 100, 4)
    assert detail.slots[0] == SlotStatus(0, None, 0, 100, 3, 0)
    assert sum(one.read_tokens for one in detail.seconds) == 99
    assert sum(one.written_tokens for one in detail.seconds) == 4
    # The next place is free when one of two requests has ended.
    assert 0 < refused.value.retry_after_seconds <= 0.5
