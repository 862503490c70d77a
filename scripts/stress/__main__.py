"""What the server does under stress: every case on one server, and what became of each claim.

After each case the server must be the same process, be healthy, and answer a chat. One that is not
is replaced: the next case finds a sound one.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

import psutil

from scripts.bench.client import get
from scripts.bench.machine import describe_machine
from scripts.stress.case import MODEL, Case, Outcome, SkippedError, Target
from scripts.stress.cases import (
    attacks,
    cut_streams,
    endings,
    full_disk,
    kills,
    large_body,
    model_files,
    queue,
    schemas,
    slow_clients,
    slow_reader,
    together,
)
from scripts.stress.server import started
from scripts.stress.talk import CHAT, ask, chat, error_of

MODULES = (queue, slow_clients, slow_reader, large_body, schemas, full_disk, model_files)
CASES = (*(module.CASE for module in MODULES), *attacks.CASES, endings.CASE)
LONG_CASES = (kills.CASE, cut_streams.CASE, together.CASE)
"""Only when they are named."""


async def run_cases(target: Target, cases: list[Case]) -> bool:
    """Print a row for each. Whether none has failed."""
    await target.server.wait_until_ready()
    print("| case | claim | what happened | verdict |\n|---|---|---|---|", flush=True)
    all_well = True
    for case in cases:
        verdict, happened = await _try(target, case)
        print(f"| {case.name} | {case.claim} | {happened} | {verdict} |", flush=True)
        if verdict == "FAILED":
            all_well = False
            target.server.stop()
            target.server.start()
            await target.server.wait_until_ready()
    return all_well


async def _try(target: Target, case: Case) -> tuple[str, str]:
    """The verdict, and what happened."""
    try:
        async with asyncio.timeout(case.seconds):
            outcome = await case.run(target)
    except SkippedError as reason:
        return "skipped", str(reason)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what happened
        outcome = Outcome(f"{type(error).__name__}: {error}".rstrip(": "), is_as_claimed=False)
    problem = await _problem(target)
    verdict = "passed" if outcome.is_as_claimed and not problem else "FAILED"
    return verdict, f"{outcome.happened}; then {problem}" if problem else outcome.happened


async def _problem(target: Target) -> str:
    """What is wrong with the server after a case; "" for nothing."""
    if target.server.process.poll() is not None:
        return f"the server has ended with {target.server.process.returncode}"
    status, body = await get(target.port, "/health")
    if status != 200 or json.loads(body)["status"] != "healthy":
        return f"health {status}"
    with contextlib.suppress(OSError, TimeoutError):
        reply = await ask(target.port, CHAT, chat(MODEL))
        if reply.status == 200 and json.loads(reply.body)["choices"][0]["message"]["content"]:
            return ""
        return f"a chat gets {error_of(reply)}"
    return "a chat gets no answer"


def main() -> None:
    cases = (*CASES, *LONG_CASES)
    names = [case.name for case in cases]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "cases",
        nargs="*",
        metavar="CASE",
        help=f"of {', '.join(names)}; all but the last {len(LONG_CASES)} without one",
    )
    chosen = parser.parse_args().cases or [case.name for case in CASES]
    if unknown := set(chosen) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as target:
        all_well = asyncio.run(run_cases(target, [one for one in cases if one.name in chosen]))
    machine = describe_machine()
    print(
        f"\n{machine['cpu']}, {psutil.cpu_count()} threads, load {machine['load_average']};"
        f" {time.monotonic() - began:.0f} s"
    )
    sys.exit(0 if all_well else 1)


if __name__ == "__main__":
    main()
