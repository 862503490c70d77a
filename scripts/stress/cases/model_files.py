"""Model files that are gone, cut, damaged or hostile: for a start, and for a server that runs."""

import asyncio
import contextlib
import sys
import time

from scripts.bench.contestants import ROOT, own_environment
from scripts.stress.broken_models import BREAK, MARK, break_model
from scripts.stress.case import Case, Outcome, Target
from scripts.stress.talk import CHAT, ask, chat, error_of

START_SECONDS = 30.0


async def run(target: Target) -> Outcome:
    """Twice each: a second request must not find something half loaded."""
    seen, is_well = [], True
    for kind in BREAK:
        path = break_model(target.late_models, kind)
        replies = [await ask(target.port, CHAT, chat(kind)) for _ in range(2)]
        is_well &= all(400 <= reply.status < 504 for reply in replies)
        seen.append(f"{kind} {error_of(replies[-1])}")
        if kind != "hostile":
            ending = await _start(target, str(path))
            is_well &= ending.startswith("ends with 1")
            seen[-1] += f", a start {ending}"
    marks = [*target.late_models.rglob(MARK), *target.disk.rglob(MARK)]
    seen.append("code was run" if marks else "no code was run")
    return Outcome("; ".join(seen), is_well and not marks)


async def _start(target: Target, model: str) -> str:
    """How a server with this model ends, and in which time."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "llm_api", "serve", "--port", "0", "--model-path", model),
        cwd=target.late_models,
        env=own_environment() | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), START_SECONDS)
    except TimeoutError:
        return f"does not end in {START_SECONDS:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    lines = errors.decode().strip().splitlines()
    is_brief = len(lines) <= 2 and time.monotonic() - began < START_SECONDS
    return f"ends with {process.returncode}{'' if is_brief else ', not in one line'}"


CASE = Case(
    "model files",
    "gone, cut, damaged, hostile: an error of its own, no crash, no code of the file is run",
    run,
)
