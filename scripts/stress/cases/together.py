"""All attacks by four clients for two minutes, beside eight chats; the memory a minute later."""

import asyncio

from scripts.stress.attack import attackers, place_of
from scripts.stress.attacks.catalogue import ATTACKS
from scripts.stress.beside import Effect, beside, bytes_of_all
from scripts.stress.case import Case, Outcome, Target
from scripts.stress.cases.attacks import said

CLIENTS = 4
BEFORE_SECONDS = 40.0
ATTACK_SECONDS = 120.0
SETTLE_SECONDS = 60.0
KEPT_MIB = 100.0
CASE_SECONDS = 480.0


async def run(target: Target) -> Outcome:
    """Each client begins with another attack, and goes on with the next."""
    place = place_of(target)
    for attack in ATTACKS:
        if attack.prepare is not None:
            await attack.prepare(target)
    strikes = [attack.strike for attack in ATTACKS]
    async with attackers(CLIENTS) as all_of_them:
        before = (await beside(place, asyncio.sleep(BEFORE_SECONDS)))[1]
        turns = [strikes[first:] + strikes[:first] for first in range(0, 2 * CLIENTS, 2)]
        striking = asyncio.gather(
            *(all_of_them.strike(turn, place, ATTACK_SECONDS) for turn in turns)
        )
        struck, during = await beside(place, striking)
    await asyncio.sleep(SETTLE_SECONDS)
    effect = Effect(before, during, bytes_of_all(place.server_process))
    strikes_of_all = [strike for strikes_of_one in struck for strike in strikes_of_one]
    return Outcome(
        f"{said(strikes_of_all)}; {effect}", effect.is_borne and effect.kept_mib < KEPT_MIB
    )


CASE = Case(
    "together",
    f"all attacks by {CLIENTS} clients for {ATTACK_SECONDS:.0f} s: chats p95 at most x 2, none"
    f" lost; a minute later at most {KEPT_MIB:.0f} MiB more",
    run,
    CASE_SECONDS,
)
