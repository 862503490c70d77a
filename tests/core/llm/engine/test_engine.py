"""The engine and its mailboxes on a compute thread, over a fake runner."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import pytest

from llm_api.core.errors import (
    GenerationError,
    InvalidRequestError,
    LLMAPIError,
    ModelFileError,
    OverloadedError,
    UnavailableError,
)
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.engine import Engine
from llm_api.core.llm.engine.job import TokenRequest
from llm_api.core.llm.engine.plan import StepPlan
from llm_api.core.llm.engine.runner import DecodeError, DrawingRules, Drawn, NoRoomError
from llm_api.core.llm.engine.scheduler import Scheduler, SchedulerLimits
from llm_api.core.llm.engine.slots import SlotTable
from llm_api.core.llm.types import Sampling, Timings
from tests.core.llm.engine.fake_runner import FakeRunner, expected_answer, fail_once
from tests.live import PATIENCE_SECONDS

SLOTS = 6


@pytest.fixture
async def compute() -> AsyncGenerator[ComputeThread, None]:
    async with aclosing(ComputeThread()) as compute:
        yield compute


@asynccontextmanager
async def engine_over(
    compute: ComputeThread, runner: FakeRunner, *, capacity: int = 100
) -> AsyncGenerator[tuple[Engine, Scheduler], None]:
    scheduler = Scheduler(SlotTable(SLOTS, 1000), SchedulerLimits(4, 64, 0.5))
    engine = Engine(compute, capacity=capacity, parallel=4)
    assert await engine.start(lambda: (scheduler, runner)) is runner
    try:
        yield engine, scheduler
    finally:
        await engine.aclose()
    assert runner.is_shut_down


def request(prompt: list[int], length: int = 5) -> TokenRequest:
    rules = DrawingRules(Sampling())
    return TokenRequest(tuple(prompt), len(prompt) + length, rules, frozenset(), "")


async def answer(engine: Engine, prompt: list[int], length: int = 5) -> list[int]:
    tokens = []
    async with engine.run(request(prompt, length)) as events:
        async for event in events:
            assert event.drawn is not None
            tokens.append(event.drawn.token)
    return tokens


class Gate:
    """Holds the compute thread before a step until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, plan: StepPlan) -> None:
        self.reached.set()
        assert self.opened.wait(PATIENCE_SECONDS)


async def test_an_answer_arrives_token_by_token_with_its_end(compute: ComputeThread) -> None:
    async with (
        engine_over(compute, FakeRunner(SLOTS)) as (engine, _),
        engine.run(request([1, 2, 3], 3)) as events,
    ):
        received = [event async for event in events]
    assert [event.finish_reason for event in received] == [None, None, "length"]
    tokens = [event.drawn.token for event in received if event.drawn]
    assert tokens == expected_answer([1, 2, 3], 3)


async def test_many_answers_at_once_do_not_mix(compute: ComputeThread) -> None:
    prompts = [[nonce, *range(10), nonce] for nonce in range(40)]
    async with engine_over(compute, FakeRunner(SLOTS)) as (engine, scheduler):
        answers = await asyncio.gather(*(answer(engine, prompt, 12) for prompt in prompts))
        scheduler.check_integrity()
    assert answers == [expected_answer(prompt, 12) for prompt in prompts]


async def test_timings_add_up_on_the_clock(compute: ComputeThread) -> None:
    ticks = iter(range(1000))
    scheduler = Scheduler(SlotTable(SLOTS, 1000), SchedulerLimits(4, 64, 0.5))
    engine = Engine(compute, capacity=9, parallel=4, clock=lambda: float(next(ticks)))
    await engine.start(lambda: (scheduler, FakeRunner(SLOTS)))
    async with engine.run(request([1, 2], 3)) as events:
        received = [event async for event in events]
    await engine.aclose()
    last = received[-1].timings
    # A tick when it was submitted, and at the beginning and the end of each of four steps.
    assert last == Timings(queue_seconds=1.0, prefill_seconds=3.0, decode_seconds=4.0)


async def test_leaving_early_frees_the_sequence_before_the_next_step(
    compute: ComputeThread,
) -> None:
    gate = Gate()
    runner = FakeRunner(SLOTS, gate)
    async with engine_over(compute, runner) as (engine, scheduler):
        async with engine.run(request([1, 2, 3], 500)):
            await asyncio.to_thread(gate.reached.wait)
        gate.opened.set()
        while scheduler.has_work:
            await asyncio.sleep(0.001)
        assert len(runner.plans) == 1
        assert runner.open_samplers == set()
        scheduler.check_integrity()


async def test_an_answer_that_nobody_begins_to_read_is_aborted_as_well(
    compute: ComputeThread,
) -> None:
    runner = FakeRunner(SLOTS)
    async with engine_over(compute, runner) as (engine, scheduler):
        async with engine.run(request([1], 900)):
            pass
        assert await answer(engine, [2], 2) == expected_answer([2], 2)
        assert not scheduler.has_work


async def test_a_full_queue_is_refused_with_an_honest_wait(compute: ComputeThread) -> None:
    gate = Gate()
    async with engine_over(compute, FakeRunner(SLOTS, gate), capacity=2) as (engine, _):
        running = [asyncio.create_task(answer(engine, [nonce])) for nonce in range(2)]
        await asyncio.to_thread(gate.reached.wait)
        with pytest.raises(OverloadedError) as refusal:
            await answer(engine, [9])
        assert refusal.value.retry_after_seconds > 0
        gate.opened.set()
        await asyncio.gather(*running)
        assert await answer(engine, [9]) == expected_answer([9], 5)


async def test_a_failed_step_ends_its_answers_and_the_engine_lives_on(
    compute: ComputeThread,
) -> None:
    runner = FakeRunner(SLOTS, fail_once(DecodeError("broken")))
    async with engine_over(compute, runner) as (engine, scheduler):
        with pytest.raises(GenerationError):
            await answer(engine, [1, 2, 3])
        assert await answer(engine, [1, 2, 3]) == expected_answer([1, 2, 3], 5)
        scheduler.check_integrity()
    assert runner.open_samplers == set()


async def test_a_constraint_that_fails_ends_its_own_answer_alone(compute: ComputeThread) -> None:
    class Failing(FakeRunner):
        def execute(self, plan: StepPlan) -> dict[int, list[Drawn]]:
            drawn = super().execute(plan)
            return {key: [] if key == 0 and len(self.plans) > 3 else drawn[key] for key in drawn}

    runner = Failing(SLOTS)
    async with engine_over(compute, runner) as (engine, scheduler):
        failed, lived = await asyncio.gather(
            answer(engine, [1, 2, 3], 9), answer(engine, [4, 5, 6], 9), return_exceptions=True
        )
        scheduler.check_integrity()
    assert isinstance(failed, InvalidRequestError)
    assert lived == expected_answer([4, 5, 6], 9)
    assert runner.open_samplers == set()


async def test_a_step_without_room_is_tried_again(compute: ComputeThread) -> None:
    runner = FakeRunner(SLOTS, fail_once(NoRoomError()))
    async with engine_over(compute, runner) as (engine, scheduler):
        answers = await asyncio.gather(*(answer(engine, [nonce]) for nonce in range(3)))
        scheduler.check_integrity()
    assert answers == [expected_answer([nonce], 5) for nonce in range(3)]


async def test_closing_answers_everyone_who_waits(compute: ComputeThread) -> None:
    gate = Gate()
    async with engine_over(compute, FakeRunner(SLOTS, gate)) as (engine, _):
        waiting = [asyncio.create_task(answer(engine, [nonce], 400)) for nonce in range(8)]
        await asyncio.to_thread(gate.reached.wait)
        closing = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0)
        gate.opened.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await closing
        with pytest.raises(UnavailableError):
            await answer(engine, [1])
    assert all(isinstance(result, UnavailableError) for result in results)


async def test_a_bug_in_the_engine_answers_everyone_and_closes_it(
    compute: ComputeThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with engine_over(compute, FakeRunner(SLOTS)) as (engine, scheduler):

        def broken() -> StepPlan:
            raise RuntimeError("a bug")

        monkeypatch.setattr(scheduler, "plan", broken)
        with pytest.raises(LLMAPIError):
            await asyncio.wait_for(answer(engine, [1]), PATIENCE_SECONDS)
        with pytest.raises(UnavailableError):
            await answer(engine, [1])


async def test_what_cannot_be_made_is_raised_by_start(compute: ComputeThread) -> None:
    def fails() -> tuple[Scheduler, FakeRunner]:
        raise ModelFileError("no such model")

    engine = Engine(compute, capacity=9, parallel=4)
    with pytest.raises(ModelFileError):
        await engine.start(fails)
    with pytest.raises(UnavailableError):
        await answer(engine, [1])
    await engine.aclose()


async def test_a_start_that_nobody_waits_for_frees_what_it_made(compute: ComputeThread) -> None:
    begin = threading.Event()
    runner = FakeRunner(SLOTS)

    def slowly() -> tuple[Scheduler, FakeRunner]:
        assert begin.wait(PATIENCE_SECONDS)
        return Scheduler(SlotTable(SLOTS, 100), SchedulerLimits(4, 64, 0.5)), runner

    engine = Engine(compute, capacity=9, parallel=4)
    starting = asyncio.create_task(engine.start(slowly))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    begin.set()
    await compute.run(lambda: None)
    assert runner.is_shut_down


async def test_two_engines_take_turns_step_by_step(compute: ComputeThread) -> None:
    order: list[str] = []
    gate = Gate()

    def first_step(plan: StepPlan) -> None:
        order.append("a")
        gate(plan)

    first = FakeRunner(SLOTS, first_step)
    second = FakeRunner(SLOTS, lambda plan: order.append("b"))
    async with engine_over(compute, first) as (a, _), engine_over(compute, second) as (b, _):
        answers = [asyncio.create_task(answer(engine, [1, 2], 10)) for engine in (a, b)]
        await asyncio.to_thread(gate.reached.wait)
        gate.opened.set()
        assert await asyncio.gather(*answers) == [expected_answer([1, 2], 10)] * 2
    assert "".join(order) == "ab" * 11  # a step for the first token of the prompt, ten to draw


async def test_an_engine_that_stops_leaves_the_others_alone(
    compute: ComputeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    broken, sound = FakeRunner(SLOTS, gate), FakeRunner(SLOTS)
    async with (
        engine_over(compute, broken) as (a, scheduler),
        engine_over(compute, sound) as (b, _),
    ):
        monkeypatch.setattr(scheduler, "commit", None)  # a bug behind the step
        failing = asyncio.create_task(answer(a, [1], 50))
        lasting = asyncio.create_task(answer(b, [2], 50))
        await asyncio.to_thread(gate.reached.wait)
        gate.opened.set()
        with pytest.raises(UnavailableError):
            await failing
        assert broken.is_shut_down
        assert await lasting == expected_answer([2], 50)


async def test_closing_one_engine_leaves_the_others_alone(compute: ComputeThread) -> None:
    gate = Gate()
    runner = FakeRunner(SLOTS, gate)
    async with (
        engine_over(compute, runner) as (closed, _),
        engine_over(compute, FakeRunner(SLOTS)) as (lasting, _),
    ):
        ending = asyncio.create_task(answer(closed, [1], 50))
        waiting = asyncio.create_task(answer(lasting, [2], 50))
        await asyncio.to_thread(gate.reached.wait)
        closing = asyncio.create_task(closed.aclose())
        for _ in range(5):  # until it stands in the compute thread's queue
            await asyncio.sleep(0)
        gate.opened.set()
        await closing
        assert runner.is_shut_down
        with pytest.raises(UnavailableError):
            await ending
        assert await waiting == expected_answer([2], 50)


async def test_other_work_is_done_between_two_steps(compute: ComputeThread) -> None:
    gate = Gate()
    runner = FakeRunner(SLOTS, gate)
    async with engine_over(compute, runner) as (engine, _):
        waiting = asyncio.create_task(answer(engine, [1], 50))
        await asyncio.to_thread(gate.reached.wait)
        work = asyncio.create_task(compute.run(lambda: len(runner.plans)))
        await asyncio.sleep(0)
        gate.opened.set()
        assert await work == 1
        assert await waiting == expected_answer([1], 50)
    assert len(runner.plans) == 50


async def test_an_event_loop_that_is_closed_under_its_engine_harms_nobody(
    compute: ComputeThread, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    loop = asyncio.new_event_loop()

    async def leave_a_request_behind() -> object:
        scheduler = Scheduler(SlotTable(SLOTS, 1000), SchedulerLimits(4, 64, 0.5))
        engine = Engine(compute, capacity=9, parallel=4)
        await engine.start(lambda: (scheduler, FakeRunner(SLOTS, gate)))
        entered = engine.run(request([1], 50))
        await entered.__aenter__()
        await asyncio.to_thread(gate.reached.wait)
        return entered

    left_behind = await asyncio.to_thread(loop.run_until_complete, leave_a_request_behind())
    loop.close()
    gate.opened.set()
    async with engine_over(compute, FakeRunner(SLOTS)) as (engine, _):
        assert await answer(engine, [2], 60) == expected_answer([2], 60)
    del left_behind
    assert caplog.messages == []


class CountingScheduler(Scheduler):
    """Counts how often its books are checked."""

    checks = 0

    def check_integrity(self) -> None:
        self.checks += 1
        super().check_integrity()


async def test_the_books_are_checked_once_in_an_idle_while_and_never_in_a_busy_one(
    compute: ComputeThread,
) -> None:
    scheduler = CountingScheduler(SlotTable(SLOTS, 1000), SchedulerLimits(4, 64, 0.5))
    engine = Engine(compute, capacity=9, parallel=4, idle_seconds=0.02)
    await engine.start(lambda: (scheduler, FakeRunner(SLOTS)))
    async with engine.run(request([1], 900)):
        await answer(engine, [2])
        await asyncio.sleep(0.04)
        assert scheduler.checks == 0
    await asyncio.sleep(0.1)
    assert scheduler.checks == 1
    await answer(engine, [3])
    await answer(engine, [4])
    await asyncio.sleep(0.1)
    assert scheduler.checks == 2
    await engine.aclose()


async def test_an_engine_with_wrong_books_stops(compute: ComputeThread) -> None:
    slots = SlotTable(SLOTS, 1000)
    runner = FakeRunner(SLOTS)
    scheduler = Scheduler(slots, SchedulerLimits(4, 64, 0.5))
    engine = Engine(compute, capacity=9, parallel=4, idle_seconds=0.01)
    await engine.start(lambda: (scheduler, runner))
    await answer(engine, [1])
    slots[0].tokens.append(9)
    while not runner.is_shut_down:
        await asyncio.sleep(0.005)
    with pytest.raises(UnavailableError):
        await answer(engine, [1])
    await engine.aclose()


async def test_an_engine_shows_who_runs_and_who_waits(compute: ComputeThread) -> None:
    gate = Gate()
    async with engine_over(compute, FakeRunner(SLOTS, gate)) as (engine, _):
        first = asyncio.create_task(answer(engine, [0]))
        await asyncio.to_thread(gate.reached.wait)
        others = [asyncio.create_task(answer(engine, [nonce])) for nonce in range(1, 4)]
        await asyncio.sleep(0)
        during = engine.status()
        gate.opened.set()
        await asyncio.gather(first, *others)
        after = engine.status()
    assert (during.running, during.waiting) == (1, 3)
    assert (after.running, after.waiting) == (0, 0)


async def test_an_engine_counts_its_steps_by_their_time_and_by_their_size(
    compute: ComputeThread,
) -> None:
    ticks = iter(range(1000))
    runner = FakeRunner(SLOTS)
    scheduler = Scheduler(SlotTable(SLOTS, 1000), SchedulerLimits(4, 64, 0.5))
    engine = Engine(compute, capacity=9, parallel=4, clock=lambda: float(next(ticks)))
    await engine.start(lambda: (scheduler, runner))
    await asyncio.gather(answer(engine, [1, 2], 6), answer(engine, [3, 4], 6))
    status = engine.status()
    await engine.aclose()
    sizes = [len(plan.spans) for plan in runner.plans]
    assert max(sizes) == 2
    assert status.step_seconds.total == len(sizes)  # the clock ticks once in each
    assert status.batch_sizes.total == sum(sizes)
    assert status.batch_sizes.cumulative()[0] == (1, sizes.count(1))
