import asyncio
import gc
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from llm_api.core.errors import ModelFileError, UnavailableError
from llm_api.core.llm.residency.keeper import ModelKeeper
from llm_api.core.llm.residency.plan import ResidencyLimits
from tests.core.llm.fake_models import FakeModel, FakeTimer, settle


@asynccontextmanager
async def keeping(
    *models: FakeModel, timer: FakeTimer | None = None, **limits: float
) -> AsyncGenerator[ModelKeeper, None]:
    memory = limits.pop("memory", None)
    keeper = ModelKeeper(
        [model.kept() for model in models],
        ResidencyLimits(None if memory is None else int(memory), limits.pop("idle", None)),
        timer or FakeTimer(),
    )
    try:
        yield keeper
    finally:
        await keeper.aclose()


async def use(keeper: ModelKeeper, model: FakeModel) -> None:
    async with keeper.borrow(model.name) as backend:
        assert backend is model.opened[-1]


async def hold(keeper: ModelKeeper, model: FakeModel, until: asyncio.Event) -> None:
    async with keeper.borrow(model.name):
        await until.wait()


async def test_requests_for_one_model_share_one_load() -> None:
    model = FakeModel("a")
    model.may_open.clear()
    async with keeping(model) as keeper, asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(use(keeper, model))
        await settle()
        assert keeper.state("a") == "loading"
        model.may_open.set()
    assert model.loads == 1


async def test_loads_of_different_models_do_not_overlap() -> None:
    first, second = FakeModel("a"), FakeModel("b")
    first.may_open.clear()
    async with keeping(first, second) as keeper, asyncio.TaskGroup() as tasks:
        tasks.create_task(use(keeper, first))
        await settle()
        tasks.create_task(use(keeper, second))
        await settle()
        assert (first.loads, second.loads) == (1, 0)
        first.may_open.set()
    assert (first.loads, second.loads) == (1, 1)


async def test_a_cancelled_wait_ends_at_once_and_harms_nobody() -> None:
    model = FakeModel("a")
    model.may_open.clear()
    async with keeping(model) as keeper, asyncio.TaskGroup() as tasks:
        cancelled = tasks.create_task(use(keeper, model))
        tasks.create_task(use(keeper, model))
        await settle()
        cancelled.cancel()
        await settle()
        assert cancelled.cancelled()
        model.may_open.set()
    assert model.loads == 1


async def test_a_wait_cancelled_as_the_load_ends_frees_its_place() -> None:
    model, timer = FakeModel("a"), FakeTimer()
    model.may_open.clear()
    async with keeping(model, timer=timer, idle=10) as keeper:
        waiting = asyncio.create_task(use(keeper, model))
        await settle()
        model.may_open.set()
        while keeper.state("a") == "loading":
            await asyncio.sleep(0)
        waiting.cancel()
        await settle()
        await timer.advance(10)
        assert keeper.state("a") == "unloaded"


async def test_who_asks_does_not_learn_where_files_lie_and_the_log_tells(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = FakeModel("a", failures=[ModelFileError("Cannot load /srv/private/a.gguf: damaged.")])
    async with keeping(model) as keeper:
        with pytest.raises(UnavailableError) as caught:
            await use(keeper, model)
    assert caught.value.message.endswith("Cannot load a.gguf: damaged.")
    assert "/srv/private/a.gguf" in caplog.text


async def test_a_failed_load_answers_its_requests_and_not_the_next() -> None:
    model, timer = FakeModel("a", failures=[ModelFileError("There is no file.")]), FakeTimer()
    async with keeping(model, timer=timer) as keeper:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="`a` could not be loaded: There is no"):
                await use(keeper, model)
        assert model.loads == 1, "within the pause nobody tries again"
        assert keeper.state("a") == "failed"
        await timer.advance(1)
        await use(keeper, model)
        assert (model.loads, keeper.state("a")) == (2, "loaded")


async def test_a_failure_nobody_foresaw_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = FakeModel("a", failures=[RuntimeError("secret")])
    async with keeping(model) as keeper:
        with pytest.raises(UnavailableError) as caught:
            await use(keeper, model)
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text


async def test_a_failed_load_that_nobody_waits_for_any_more_is_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = FakeModel("a", failures=[ModelFileError("x")])
    model.may_open.clear()
    async with keeping(model) as keeper:
        waiting = asyncio.create_task(use(keeper, model))
        await settle()
        waiting.cancel()
        await settle()
        model.may_open.set()
        await settle()
        assert keeper.state("a") == "failed"
        gc.collect()
    # asyncio complains of an exception that nobody has looked at.
    assert "asyncio" not in {record.name for record in caplog.records}


async def test_an_idle_model_is_closed_and_the_next_request_loads_it_again() -> None:
    model, timer, until = FakeModel("a"), FakeTimer(), asyncio.Event()
    async with keeping(model, timer=timer, idle=10) as keeper:
        holding = asyncio.create_task(hold(keeper, model, until))
        await settle()
        await timer.advance(100)
        assert keeper.state("a") == "loaded", "it is in use"
        until.set()
        await holding
        await settle()
        await timer.advance(9)
        assert keeper.state("a") == "loaded"
        await timer.advance(1)
        assert (keeper.state("a"), model.opened[0].is_closed) == ("unloaded", True)
        await use(keeper, model)
        assert model.loads == 2


async def test_a_request_waits_for_room_and_gets_it() -> None:
    busy, other, until = FakeModel("a", 10), FakeModel("b", 10), asyncio.Event()
    async with keeping(busy, other, memory=10) as keeper, asyncio.TaskGroup() as tasks:
        tasks.create_task(hold(keeper, busy, until))
        await settle()
        tasks.create_task(use(keeper, other))
        await settle()
        assert (keeper.state("a"), keeper.state("b")) == ("loaded", "unloaded")
        until.set()
        await settle()
        assert (keeper.state("a"), keeper.state("b")) == ("unloaded", "loaded")
        assert busy.opened[0].is_closed


async def test_a_request_that_finds_no_room_in_time_is_refused() -> None:
    busy, other, until = FakeModel("a", 10), FakeModel("b", 10), asyncio.Event()
    timer = FakeTimer()
    async with keeping(busy, other, timer=timer, memory=10) as keeper:
        holding = asyncio.create_task(hold(keeper, busy, until))
        await settle()
        waiting = asyncio.create_task(use(keeper, other))
        await settle()
        await timer.advance(30)
        with pytest.raises(UnavailableError, match="no room") as caught:
            await waiting
        assert caught.value.retry_after_seconds is not None
        until.set()
        await holding
        await use(keeper, other)


async def test_closing_frees_every_model_and_refuses_what_comes_after() -> None:
    models = FakeModel("a"), FakeModel("b")
    async with keeping(*models) as keeper:
        for model in models:
            await use(keeper, model)
    assert all(model.opened[0].is_closed for model in models)
    with pytest.raises(UnavailableError, match="stopping"):
        await use(keeper, models[0])
    await keeper.aclose()
    assert not keeper.is_ready


async def test_closing_during_a_load_answers_who_waits_and_closes_what_was_loaded() -> None:
    model = FakeModel("a")
    model.may_open.clear()
    async with keeping(model) as keeper:
        waiting = asyncio.create_task(use(keeper, model))
        await settle()
        closing = asyncio.create_task(keeper.aclose())
        with pytest.raises(UnavailableError, match="stopping"):
            await waiting
        assert not closing.done()
        model.may_open.set()
        await closing
        assert model.opened[0].is_closed


async def test_startup_models_are_loaded_and_then_it_is_ready() -> None:
    first, second, other = FakeModel("a", 0, True), FakeModel("b", 0, True), FakeModel("c")
    async with keeping(first, second, other) as keeper:
        readiness = [keeper.is_ready]
        await keeper.load_startup_models()
        readiness.append(keeper.is_ready)
        assert readiness == [False, True]
        assert [keeper.state(name) for name in "abc"] == ["loaded", "loaded", "unloaded"]


async def test_an_idle_startup_model_that_left_memory_is_still_ready() -> None:
    model, timer = FakeModel("a", 0, True), FakeTimer()
    async with keeping(model, timer=timer, idle=1) as keeper:
        await keeper.load_startup_models()
        await settle()
        await timer.advance(1)
        assert (keeper.state("a"), keeper.is_ready) == ("unloaded", True)
        await timer.advance(1)
        model.failures.append(ModelFileError("gone"))
        with pytest.raises(UnavailableError):
            await use(keeper, model)
        assert not keeper.is_ready


@pytest.mark.parametrize("error", [ModelFileError("x"), RuntimeError("y")])
async def test_a_startup_model_that_fails_raises_what_its_load_raised(error: Exception) -> None:
    async with keeping(FakeModel("a", 0, True, failures=[error])) as keeper:
        with pytest.raises(type(error)) as caught:
            await keeper.load_startup_models()
        assert caught.value is error
        assert not keeper.is_ready


async def test_only_a_load_on_demand_that_fails_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = ModelFileError("x")
    started, demanded = FakeModel("a", 0, True, failures=[error]), FakeModel("b", failures=[error])
    async with keeping(started, demanded) as keeper:
        with caplog.at_level(logging.INFO):
            with pytest.raises(ModelFileError):
                await keeper.load_startup_models()
            assert not caplog.records
            with pytest.raises(UnavailableError):
                await use(keeper, demanded)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_model_that_cannot_be_freed_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = FakeModel("a"), FakeModel("b")
    async with keeping(bad, good) as keeper:
        await use(keeper, bad)
        await use(keeper, good)
        bad.opened[0].close_failure = RuntimeError("stuck")
    assert good.opened[0].is_closed
    assert "stuck" in caplog.text
