"""SIGTERM at a random moment of each attack, each on a server of its own."""

import asyncio
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

from scripts.stress.attack import Attack, attackers, place_of
from scripts.stress.attacks.catalogue import ATTACKS
from scripts.stress.case import Case, Outcome, Target
from scripts.stress.server import started

DRAIN_SECONDS = 3
GRACE_SECONDS = 5
LONGEST_SECONDS = 8.0
"""From the first strike to the signal."""
LEFT_SECONDS = 3.0
"""How long a worker may outlive the server whose end it has to notice."""
CASE_SECONDS = 60.0 * len(ATTACKS)


async def run(_: Target) -> Outcome:
    """None of them touches the server of the other cases."""
    choose = random.Random()  # noqa: S311 - a moment, not a secret
    endings = {
        attack.name: await _ending(attack, choose.uniform(0, LONGEST_SECONDS)) for attack in ATTACKS
    }
    bad = [f"{name} {ending}" for name, ending in endings.items() if ending]
    happened = "; ".join(bad) or f"{len(endings)} servers ended with 0"
    return Outcome(happened, not bad)


async def _ending(attack: Attack, seconds: float) -> str:
    """What is wrong with it; "" for nothing."""
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder), DRAIN_SECONDS=str(DRAIN_SECONDS)) as target,
    ):
        await target.server.wait_until_ready()
        if attack.prepare is not None:
            await attack.prepare(target)
        async with attackers(1) as one:
            strikes = one.strike([attack.strike], place_of(target), 10 * LONGEST_SECONDS)
            striking = asyncio.ensure_future(strikes)
            await asyncio.sleep(seconds)
            problem = await _end(target.server.process)
            striking.cancel()
        return problem and f"{seconds:.1f} s after its begin: {problem}"


async def _end(process: subprocess.Popen[bytes]) -> str:
    began = time.monotonic()
    process.terminate()
    try:
        code = await asyncio.to_thread(process.wait, DRAIN_SECONDS + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"runs on after {DRAIN_SECONDS + GRACE_SECONDS} s"
    if code != 0:
        return f"ended with {code} after {time.monotonic() - began:.1f} s"
    deadline = time.monotonic() + LEFT_SECONDS
    while _has_members(process.pid):
        if time.monotonic() > deadline:
            return "ended with 0, and left a process behind"
        await asyncio.sleep(0.1)
    return ""


def _has_members(group: int) -> bool:
    """Whether a process that the server has started is still there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


CASE = Case(
    "endings",
    "SIGTERM at a random moment of each attack: exit 0 within DRAIN_SECONDS + 5 s, none left",
    run,
    CASE_SECONDS,
)
