"""One attack at a time, by one client, beside eight chats."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from scripts.stress.attack import Attack, attackers, place_of
from scripts.stress.attacks.catalogue import ATTACKS
from scripts.stress.beside import Effect, beside, bytes_of_all
from scripts.stress.case import Case, Outcome, Target

CASE_SECONDS = 240.0
"""A server that is held up ends neither its chats nor the strikes before their time."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    before: float = 10.0
    attack: float = 15.0
    settle: float = 15.0


TIMES = Times()


async def run(attack: Attack, target: Target, times: Times = TIMES) -> Outcome:
    """Chats without the attack, with it, and the memory a while after."""
    place = place_of(target)
    if attack.prepare is not None:
        await attack.prepare(target)
    async with attackers(1) as one:
        before = (await beside(place, asyncio.sleep(times.before)))[1]
        strikes, during = await beside(place, one.strike([attack.strike], place, times.attack))
    await asyncio.sleep(times.settle)
    effect = Effect(before, during, bytes_of_all(place.server_process))
    return Outcome(f"{said(strikes)}; {effect}", is_as_claimed(attack, strikes, effect))


def is_as_claimed(attack: Attack, strikes: Sequence[Outcome], effect: Effect) -> bool:
    return (
        all(strike.is_as_claimed for strike in strikes)
        and effect.is_borne
        and effect.grown_mib < attack.growth_mib
        and effect.kept_mib < attack.kept_mib
    )


def said(strikes: Sequence[Outcome]) -> str:
    """What strikes came to: the first that was not as claimed, or else the last."""
    otherwise = [one for one in strikes if not one.is_as_claimed]
    shown = (otherwise or list(strikes))[0 if otherwise else -1]
    return f"{len(strikes) - len(otherwise)} of {len(strikes)}: {shown.happened}"


CASES = tuple(
    Case(attack.name, attack.claim, partial(run, attack), CASE_SECONDS) for attack in ATTACKS
)
