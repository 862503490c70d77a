"""Streams that are cut at random, and taken up on whichever of two workers over PostgreSQL."""

import asyncio
import random
import tempfile
from pathlib import Path

import httpx2

from scripts.postgresql import NoPostgreSQLError, running_postgresql
from scripts.stress.case import Case, Outcome, SkippedError, Target
from scripts.stress.kept import RESPONSES, Taken, client_of, keeping_server, take, text_of
from scripts.stress.slow_upstream import MODEL, slow_upstream

STREAMS = 200
TOGETHER = 12
"""A key may have 16 running in the background, and one that has ended counts for a moment more."""
LONGEST_PIECE = 25
MOST_PIECES = 1_000


async def run(_: Target) -> Outcome:
    """It does not touch the server of the other cases."""
    try:
        with running_postgresql() as url:
            return await cut_streams(STREAMS, url)
    except NoPostgreSQLError as error:
        raise SkippedError(str(error)) from error


async def cut_streams(streams: int, database: str | None) -> Outcome:
    """So many streams, a few at a time; over SQLite without a database."""
    with tempfile.TemporaryDirectory() as folder:
        async with slow_upstream() as upstream:
            server = keeping_server(Path(folder), upstream, 2, database)
            server.start()
            try:
                await server.wait_until_ready()
                async with client_of(server) as client:
                    return await _cut_all(client, streams)
            finally:
                server.stop()


async def _cut_all(client: httpx2.AsyncClient, streams: int) -> Outcome:
    choose = random.Random()  # noqa: S311 - where to cut, not a secret
    room = asyncio.Semaphore(TOGETHER)

    async def one() -> tuple[str, int]:
        async with room:
            return await _cut_one(client, choose)

    results = await asyncio.gather(*(one() for _ in range(streams)))
    pieces = sum(count for _, count in results)
    bad = [problem for problem, _ in results if problem]
    happened = f"{streams} streams in {pieces} pieces, {len(bad)} with a fault"
    return Outcome("; ".join([happened, *bad[:3]]), not bad)


async def _cut_one(client: httpx2.AsyncClient, choose: random.Random) -> tuple[str, int]:
    """What is wrong with it, and in how many pieces it came."""
    body = {"model": MODEL, "input": "Speak.", "background": True, "stream": True}
    taken = Taken()
    most = choose.randint(1, LONGEST_PIECE)
    await take(client, "POST", RESPONSES, most, taken, json=body)
    for piece in range(1, MOST_PIECES):
        if taken.has_ended:
            stored = (await client.get(f"{RESPONSES}/{taken.id}")).json()
            differs = stored["status"] != "completed" or text_of(stored) != taken.text
            return (f"{taken.id} is stored otherwise" if differs else taken.problem()), piece
        query = {"stream": "true", "starting_after": taken.numbers[-1]}
        most = choose.randint(1, LONGEST_PIECE)
        await take(client, "GET", f"{RESPONSES}/{taken.id}", most, taken, params=query)
    return f"{taken.id} does not end", MOST_PIECES


CASE = Case(
    "cut-streams",
    f"{STREAMS} streams cut at random and taken up on two workers over PostgreSQL: no event is"
    " lost, doubled or out of order",
    run,
    seconds=600,
)
