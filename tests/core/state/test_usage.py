"""What keys use, as it is stored."""

import asyncio
from dataclasses import replace
from datetime import date

from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import UsageDay
from llm_api.core.state.state import State
from tests.core.state.test_state import another, sweeper_of

FIRST, SECOND = date(2026, 1, 30), date(2026, 1, 31)
ALICE = UsageDay(FIRST, "alice", "small", "generate", 1, 10, 5, 2)


async def test_what_is_used_adds_up_by_day_owner_kind_and_model(state: State) -> None:
    usage = await state.usage()
    others = [
        replace(ALICE, day=SECOND),
        replace(ALICE, owner="bob"),
        replace(ALICE, model="a model"),
        replace(ALICE, kind="embed"),
    ]
    await usage.add([ALICE, *others])
    await usage.add([ALICE, replace(ALICE, requests=0)])
    twice = UsageDay(FIRST, "alice", "small", "generate", 2, 30, 15, 6)
    assert set(await usage.between(FIRST, SECOND)) == {twice, *others}
    assert await usage.between(SECOND, SECOND, "alice") == [others[0]]
    assert await usage.between(FIRST, FIRST, "nobody") == []


async def test_several_processes_add_to_the_same_counts(
    state: State, options: StateOptions
) -> None:
    models = [replace(ALICE, model=f"model-{number}") for number in range(5)]
    async with another(options) as other:
        mine, theirs = await state.usage(), await other.usage()
        adding = [mine.add(models) for _ in range(10)]
        adding += [theirs.add([*reversed(models)]) for _ in range(10)]
        await asyncio.gather(*adding)
        assert {one.requests for one in await mine.between(FIRST, FIRST)} == {20}


async def test_old_counts_are_forgotten(options: StateOptions) -> None:
    now = 1_769_904_000.0  # 2026-02-01
    async with another(replace(options, usage_days=1, now=lambda: now)) as state:
        usage = await state.usage()
        await usage.add([ALICE, replace(ALICE, day=SECOND)])
        await sweeper_of(state).forget_old()
        assert [one.day for one in await usage.between(FIRST, SECOND)] == [SECOND]
