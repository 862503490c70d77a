"""`kill -9` while responses are stored, again and again, on one database."""

import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from scripts.bench.process import Server
from scripts.stress.case import ECHO, Case, Outcome, Target
from scripts.stress.kept import RESPONSES, Taken, client_of, keeping_server, kill, take
from scripts.stress.slow_upstream import MODEL as SLOW
from scripts.stress.slow_upstream import slow_upstream

KILLS = 20
CLIENTS = 8
LONGEST_SECONDS = 1.5
"""From the first request to the kill."""
MOST_EVENTS = 1_000
SETTLE_SECONDS = 30.0
"""Within which nothing may be unfinished any more, over either database."""


async def run(_: Target) -> Outcome:
    """It does not touch the server of the other cases."""
    return await killed(KILLS)


@dataclass(slots=True)
class Acknowledged:
    """Ids of responses that the server has answered for."""

    saved: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)


async def killed(times: int, database: str | None = None, workers: int = 1) -> Outcome:
    """So many kills of a server over SQLite, or over that PostgreSQL."""
    told = Acknowledged()
    choose = random.Random()  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        async with slow_upstream() as upstream:
            server = keeping_server(Path(folder), upstream, workers, database)
            try:
                for _ in range(times):
                    server.start()
                    await server.wait_until_ready()
                    await _write_until_killed(server, told, choose.uniform(0.1, LONGEST_SECONDS))
                server.start()
                await server.wait_until_ready()
                return await _judged(server, told, times)
            finally:
                server.stop()


async def _write_until_killed(server: Server, told: Acknowledged, seconds: float) -> None:
    async with client_of(server) as client:
        await _save(client, told)  # the first one opens the database
        writers = [asyncio.create_task(_write(client, told)) for _ in range(CLIENTS)]
        await asyncio.sleep(seconds)
        kill(server)
        await asyncio.gather(*writers)


async def _write(client: httpx2.AsyncClient, told: Acknowledged) -> None:
    """Until nobody answers."""
    with contextlib.suppress(httpx2.TransportError):
        while True:
            await _save(client, told)
            body = {"model": SLOW, "input": "Speak.", "background": True}
            begun = await client.post(RESPONSES, json=body)
            if begun.status_code != 429:  # enough of this key run already
                told.begun.append(begun.raise_for_status().json()["id"])


async def _save(client: httpx2.AsyncClient, told: Acknowledged) -> None:
    answer = await client.post(RESPONSES, json={"model": ECHO, "input": "Keep this."})
    told.saved.append(answer.raise_for_status().json()["id"])


async def _judged(server: Server, told: Acknowledged, times: int) -> Outcome:
    async with client_of(server) as client:
        saved = Counter([await _status(client, id) for id in told.saved])
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            began = time.monotonic()
            begun = Counter([await _status(client, id) for id in told.begun])
            if not begun.keys() & {"queued", "in_progress"} or began > deadline:
                break
            await asyncio.sleep(1)
        broken = [id for id in told.begun if not await _has_whole_stream(client, id)]
    happened = (
        f"{times} kills; saved: {_counts(saved)}; in the background: {_counts(begun)}; streams with"
        f" a gap or without an end: {len(broken)}"
    )
    is_kept = saved.keys() == {"completed"} and begun.keys() <= {"completed", "failed"}
    return Outcome(happened, is_kept and not broken)


async def _has_whole_stream(client: httpx2.AsyncClient, id: str) -> bool:
    taken = Taken()
    path, query = f"{RESPONSES}/{id}", {"stream": "true"}
    await take(client, "GET", path, MOST_EVENTS, taken, params=query)
    return taken.is_whole


async def _status(client: httpx2.AsyncClient, id: str) -> str:
    answer = await client.get(f"{RESPONSES}/{id}")
    return str(answer.json()["status"]) if answer.status_code == 200 else str(answer.status_code)


def _counts(statuses: Counter[str]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items())) or "none"


CASE = Case(
    "kills",
    f"{KILLS} kills while responses are stored: each that was acknowledged is there, none is in"
    " progress for ever, each stream has its end",
    run,
    seconds=600,
)
