"""An attack is repeated out of a process of its own; what the others met decides."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from llm_api.core.errors import OverloadedError
from scripts.stress.attack import Attack, Place, attackers, place_of
from scripts.stress.beside import Effect, Seen, beside, bytes_of_all
from scripts.stress.case import Outcome, Target
from scripts.stress.cases.attacks import Times, is_as_claimed, run, said
from scripts.stress.talk import CHAT, MIB, ask
from tests.fakes import FakeBackend
from tests.scripts.stress.fake_target import fake_target

SHORT = Times(before=0.3, attack=0.3, settle=0)
NOWHERE = Place(port=1, server_process=os.getpid())


@pytest.fixture
def target(base_url: str, tmp_path: Path, backend: FakeBackend) -> Target:
    return fake_target(base_url, tmp_path, backend)[0]


async def harmless(_: Place) -> Outcome:
    return Outcome("refused", is_as_claimed=True)


async def telling(place: Place) -> Outcome:
    return Outcome(f"{place.server_process} {os.getpid()}", is_as_claimed=True)


async def harmful(_: Place) -> Outcome:
    return Outcome("100 MB were read", is_as_claimed=False)


async def unanswered(place: Place) -> Outcome:
    await ask(place.port, CHAT, {})
    return Outcome("answered", is_as_claimed=True)


async def test_strikes_come_from_other_processes_in_turn_until_the_time_is_over() -> None:
    async with attackers(1) as one:
        telling_first, then, *_ = await one.strike([telling, harmful], NOWHERE, 0.7)
    server, attacker = telling_first.happened.split()
    assert int(server) == os.getpid() != int(attacker)
    assert then.happened == "100 MB were read"


async def test_a_strike_that_nobody_answers_is_not_as_claimed() -> None:
    async with attackers(1) as one:
        assert await one.strike([unanswered], NOWHERE, 0.1) == [
            Outcome("ConnectionRefusedError", is_as_claimed=False)
        ]


async def test_the_others_chat_and_look_while_work_is_done(target: Target) -> None:
    result, seen = await beside(place_of(target), asyncio.sleep(0.5, "done"))
    assert result == "done"
    assert len(seen.chat_seconds) >= 8
    assert seen.lost == []
    assert 0 < seen.p95 < 5
    assert 0 < seen.slowest_health < 5
    assert seen.most_bytes > 10 * MIB


async def test_chats_that_are_refused_are_lost(target: Target, backend: FakeBackend) -> None:
    backend.script = lambda _: [OverloadedError("Too many.", retry_after_seconds=1)]
    _, seen = await beside(place_of(target), asyncio.sleep(0.2))
    assert set(seen.lost) == {"429 queue_full"}
    assert seen.p95 == float("inf")


async def test_an_attack_is_tried_beside_chats_that_went_well_before(target: Target) -> None:
    outcome = await run(Attack("a", "b", harmful, 500.0), target, SHORT)
    assert re.fullmatch(
        r"0 of 1: 100 MB were read; \d+ chats, p95 x [\d.]+; /health \d+ ms;"
        r" memory [+-]\d+ MiB, then [+-]\d+",
        outcome.happened,
    )
    assert not outcome.is_as_claimed


def seen(chat_seconds: float = 1.0, health_seconds: float = 0.1, mib: int = 100) -> Seen:
    return Seen([chat_seconds], [], [health_seconds], mib * MIB)


WELL = Outcome("refused", is_as_claimed=True)
BAD = Outcome("100 MB were read", is_as_claimed=False)
ATTACK = Attack("a", "b", harmless, growth_mib=50.0, kept_mib=20.0)


@pytest.mark.parametrize(
    ("strikes", "during", "mib_after", "expected"),
    [
        ([WELL], seen(), 100, True),
        ([WELL, BAD], seen(), 100, False),
        ([WELL], seen(chat_seconds=2.0), 100, True),
        ([WELL], seen(chat_seconds=2.1), 100, False),
        ([WELL], Seen([1.0], ["503 x"], [0.1], 100 * MIB), 100, False),
        ([WELL], Seen([], [], [0.1], 100 * MIB), 100, False),
        ([WELL], seen(health_seconds=0.3), 100, False),
        ([WELL], seen(mib=149), 119, True),
        ([WELL], seen(mib=151), 119, False),
        ([WELL], seen(mib=149), 121, False),
    ],
)
def test_an_attack_must_be_refused_cost_little_and_hardly_be_noticed(
    strikes: list[Outcome], during: Seen, mib_after: int, expected: bool
) -> None:
    effect = Effect(seen(), during, mib_after * MIB)
    assert is_as_claimed(ATTACK, strikes, effect) is expected


def test_an_effect_says_who_was_lost() -> None:
    during = Seen([1.5], ["503 x", "TimeoutError"], [0.3], 130 * MIB)
    assert str(Effect(seen(), during, 90 * MIB)) == (
        "1 chats, p95 x 1.50, 2 lost (503 x); /health 300 ms; memory +30 MiB, then -10"
    )


def test_the_first_strike_that_is_not_as_claimed_is_told() -> None:
    assert said([WELL, Outcome("last", is_as_claimed=True)]) == "2 of 2: last"
    assert said([WELL, BAD, Outcome("worse", is_as_claimed=False)]) == ("1 of 3: 100 MB were read")


def test_memory_counts_all_that_a_server_has_started() -> None:
    assert bytes_of_all(os.getpid()) > 10 * MIB
    assert bytes_of_all(2**22 + 1) == 0
