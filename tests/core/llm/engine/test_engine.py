"""The engine's thread and mailboxes, over a fake runner."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from llm_api.core.errors import (
    GenerationError,
    LLMAPIError,
    ModelFileError,
    OverloadedError,
    UnavailableError,
)
from llm_api.core.llm.engine.engine import Engine, TokenRequest
from llm_api.core.llm.engine.plan import StepPlan
from llm_api.core.llm.engine.runner import DecodeError, DrawingRules, NoRoomError
from llm_api.core.llm.engine.scheduler import Scheduler, SchedulerLimits
from llm_api.core.llm.engine.slots import SlotTable
from llm_api.core.llm.types import Sampling, Timings
from tests.core.llm.engine.fake_runner import FakeRunner, expected_answer, fail_once

SLOTS = 6


@asynccontextmanager
async def engine_over(
    runner: FakeRunner, *, capacity: int = 100
) -> AsyncGenerator[tuple[Engine, Scheduler], None]:
    scheduler = Scheduler(SlotTable(SLOTS, 1000), SchedulerLimits(4, 64, 0.5))
    engine = Engine(capacity=capacity, parallel=4)
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
    """Holds the engine's thread before a step until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, plan: StepPlan) -> None:
        self.reached.set()
        assert self.opened.wait(5)


async def test_an_answer_arrives_token_by_token_with_its_end() -> None:
    async with (
        engine_over(FakeRunner(SLOTS)) as (engine, _),
        engine.run(request([1, 2, 3], 3)) as events,
    ):
        received = [event async for event in events]
    assert [event.finish_reason for event in received] == [None, None, "length"]
    tokens = [event.drawn.token for event in received if event.drawn]
    assert tokens == expected_answer([1, 2, 3], 3)


async def test_many_answers_at_once_do_not_mix() -> None:
    prompts = [[nonce, *range(10), nonce] for nonce in range(40)]
    async with engine_over(FakeRunner(SLOTS)) as (engine, scheduler):
        answers = await asyncio.gather(*(answer(engine, prompt, 12) for prompt in prompts))
        scheduler.check_integrity()
    assert answers == [expected_answer(prompt, 12) for prompt in prompts]


async def test_timings_add_up_on_the_clock() -> None:
    ticks = iter(range(1000))
    scheduler = Scheduler(SlotTable(SLOTS, 1000), SchedulerLimits(4, 64, 0.5))
    engine = Engine(capacity=9, parallel=4, clock=lambda: float(next(ticks)))
    await engine.start(lambda: (scheduler, FakeRunner(SLOTS)))
    async with engine.run(request([1, 2], 3)) as events:
        received = [event async for event in events]
    await engine.aclose()
    last = received[-1].timings
    # A tick when it was submitted, and at the beginning and the end of each of four steps.
    assert last == Timings(queue_seconds=1.0, prefill_seconds=3.0, decode_seconds=4.0)


async def test_leaving_early_frees_the_sequence_before_the_next_step() -> None:
    gate = Gate()
    runner = FakeRunner(SLOTS, gate)
    async with engine_over(runner) as (engine, scheduler):
        async with engine.run(request([1, 2, 3], 500)):
            await asyncio.to_thread(gate.reached.wait)
        gate.opened.set()
        while scheduler.has_work:
            await asyncio.sleep(0.001)
        assert len(runner.plans) == 1
        assert runner.open_samplers == set()
        scheduler.check_integrity()


async def test_an_answer_that_nobody_begins_to_read_is_aborted_as_well() -> None:
    runner = FakeRunner(SLOTS)
    async with engine_over(runner) as (engine, scheduler):
        async with engine.run(request([1], 900)):
            pass
        assert await answer(engine, [2], 2) == expected_answer([2], 2)
        assert not scheduler.has_work


async def test_a_full_queue_is_refused_with_an_honest_wait() -> None:
    gate = Gate()
    async with engine_over(FakeRunner(SLOTS, gate), capacity=2) as (engine, _):
        running = [asyncio.create_task(answer(engine, [nonce])) for nonce in range(2)]
        await asyncio.to_thread(gate.reached.wait)
        with pytest.raises(OverloadedError) as refusal:
            await answer(engine, [9])
        assert refusal.value.retry_after_seconds > 0
        gate.opened.set()
        await asyncio.gather(*running)
        assert await answer(engine, [9]) == expected_answer([9], 5)


async def test_a_failed_step_ends_its_answers_and_the_engine_lives_on() -> None:
    runner = FakeRunner(SLOTS, fail_once(DecodeError("broken")))
    async with engine_over(runner) as (engine, scheduler):
        with pytest.raises(GenerationError):
            await answer(engine, [1, 2, 3])
        assert await answer(engine, [1, 2, 3]) == expected_answer([1, 2, 3], 5)
        scheduler.check_integrity()
    assert runner.open_samplers == set()


async def test_a_step_without_room_is_tried_again() -> None:
    runner = FakeRunner(SLOTS, fail_once(NoRoomError()))
    async with engine_over(runner) as (engine, scheduler):
        answers = await asyncio.gather(*(answer(engine, [nonce]) for nonce in range(3)))
        scheduler.check_integrity()
    assert answers == [expected_answer([nonce], 5) for nonce in range(3)]


async def test_closing_answers_everyone_who_waits() -> None:
    gate = Gate()
    async with engine_over(FakeRunner(SLOTS, gate)) as (engine, _):
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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with engine_over(FakeRunner(SLOTS)) as (engine, scheduler):

        def broken() -> StepPlan:
            raise RuntimeError("a bug")

        monkeypatch.setattr(scheduler, "plan", broken)
        with pytest.raises(LLMAPIError):
            await asyncio.wait_for(answer(engine, [1]), 5)
        with pytest.raises(UnavailableError):
            await answer(engine, [1])


async def test_what_cannot_be_made_is_raised_by_start() -> None:
    def fails() -> tuple[Scheduler, FakeRunner]:
        raise ModelFileError("no such model")

    engine = Engine(capacity=9, parallel=4)
    with pytest.raises(ModelFileError):
        await engine.start(fails)
    with pytest.raises(UnavailableError):
        await answer(engine, [1])
    await engine.aclose()


async def test_a_start_that_nobody_waits_for_ends_its_thread() -> None:
    begin = threading.Event()
    runner = FakeRunner(SLOTS)

    def slowly() -> tuple[Scheduler, FakeRunner]:
        assert begin.wait(5)
        return Scheduler(SlotTable(SLOTS, 100), SchedulerLimits(4, 64, 0.5)), runner

    engine = Engine(capacity=9, parallel=4)
    starting = asyncio.create_task(engine.start(slowly))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    begin.set()
    await engine.aclose()
    assert runner.is_shut_down
