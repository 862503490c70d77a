"""A process that is killed while it writes: what it had acknowledged is there, nothing hangs."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager

import pytest

from llm_api.core.state import liveness
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.core.state.samples import events, outcome, response
from tests.live import PATIENCE_SECONDS

WRITERS = 8


async def write_for_ever(options: StateOptions) -> None:
    """Responses that are saved, and ones that are begun; an id is printed once it is stored."""
    state = State(options)
    own = await state.of("alice")

    def tell(id: str) -> None:
        sys.stdout.write(f"{id}\n")
        sys.stdout.flush()

    async def writing(writer: int) -> None:
        number = 0
        while True:
            saved, begun = f"saved_{writer}_{number}", f"begun_{writer}_{number}"
            await own.responses.save(response(saved, "in"), outcome("out"))
            tell(saved)
            await own.responses.begin(response(begun, "in", is_background=True))
            await own.responses.append_events(begun, events(0, 1))
            tell(begun)
            number += 1

    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(writing(writer))


@contextmanager
def writer_of(options: StateOptions) -> Iterator["subprocess.Popen[str]"]:
    code = (
        "import asyncio; from pathlib import Path;"
        "from llm_api.core.state.options import StateOptions;"
        "from tests.core.state.test_kill import write_for_ever;"
        f"asyncio.run(write_for_ever(StateOptions(Path({str(options.folder)!r}), {options.url!r})))"
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_killed_process_loses_nothing_and_leaves_nothing_unfinished(
    options: StateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "DEAD_AFTER_SECONDS", 0.0)
    with writer_of(options) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(200)]
        process.kill()
        told += process.stdout.readlines()
        process.wait(PATIENCE_SECONDS)
    acknowledged = [line.strip() for line in told if line.endswith("\n")]
    assert len(acknowledged) >= 200
    async with aclosing(State(options)) as state:
        own = await state.of("alice")
        found = [await own.responses.get(id) for id in acknowledged]
        for one in found:
            assert one.status == ("completed" if one.id.startswith("saved") else "failed")
            assert one.is_lost == one.id.startswith("begun")
        assert await own.responses.count_unfinished() == 0
