"""M to O: what a gateway costs, and how many it serves at once, against LiteLLM's proxy.

One worker each, connections that stay open, the same requests by the same client.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from scripts.bench.answer import Answer
from scripts.bench.client import post
from scripts.bench.connection import Connection, Reply, connect
from scripts.bench.contestants import LITELLM, OUR_GATEWAY, OUR_STUB, UPSTREAM
from scripts.bench.scenarios.scenario import Claim, Sample, Scenario, Turn, sample
from scripts.bench.scenarios.texts import reply_sample
from scripts.bench.statistics import percentile
from scripts.bench.upstream import SLOW_TOKENS, SLOWLY

PATH = "/v1/chat/completions"
WORDS = "one two three four five six seven eight"

SLICES = 4
"""Directly and through the gateway in turns, so that both see the same machine."""

REQUESTS = {1: 150, 32: 480}
"""In a slice, by how many are under way at a time."""

RATE_CLIENTS = 32
RATE_REQUESTS = 3200

STREAMS = 500
WAVES = 4

MOST_ADDED = {1: 0.15, 32: 0.23}
"""Of what LiteLLM adds."""

ADDED = {at_a_time: f"p50 added at {at_a_time} at a time, ms" for at_a_time in REQUESTS}
RATE = "requests/s"
MEMORY = "resident memory grown, MB"
TOGETHER = "streams under way together"
STREAM_RATE = "tokens/s"


async def _added(turn: Turn) -> Sample:
    """The difference of two medians, for each number of requests at a time."""
    if UPSTREAM not in turn.desks:
        return Sample({})
    body, direct_port = _body("upstream", WORDS), turn.desks[UPSTREAM].port
    figures: dict[str, float] = {}
    replies: list[Reply] = []
    for at_a_time, requests in REQUESTS.items():
        count = requests // 10 if turn.is_quick else requests
        await _load(turn.desk.port, body, at_a_time, count)
        direct: list[Reply] = []
        through: list[Reply] = []
        for _ in range(SLICES):
            direct += await _load(direct_port, body, at_a_time, count)
            through += await _load(turn.desk.port, body, at_a_time, count)
        figures[ADDED[at_a_time]] = 1000 * (_median(through) - _median(direct))
        replies += direct + through
    return reply_sample(replies, figures)


async def _rate(turn: Turn) -> Sample:
    body = _body("mock" if turn.server.name == LITELLM else turn.desk.model, WORDS)
    count = RATE_REQUESTS // 10 if turn.is_quick else RATE_REQUESTS
    await _load(turn.desk.port, body, RATE_CLIENTS, count // 10)
    began = time.perf_counter()
    replies = await _load(turn.desk.port, body, RATE_CLIENTS, count)
    return reply_sample(replies, {RATE: len(replies) / (time.perf_counter() - began)})


async def _load(port: int, body: bytes, at_a_time: int, count: int) -> list[Reply]:
    """`count` requests over `at_a_time` connections, each waiting for its answer."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect(port)) for _ in range(at_a_time)]
        parts = await asyncio.gather(
            *(_one_after_the_other(one, body, count // at_a_time) for one in connections)
        )
    return [reply for part in parts for reply in part]


async def _one_after_the_other(connection: Connection, body: bytes, count: int) -> list[Reply]:
    return [await connection.post(PATH, body) for _ in range(count)]


async def _many_streams(turn: Turn) -> Sample:
    """A wave of streams fills what a server fills once; what further waves add is growth."""
    await _wave(turn)
    memory = turn.server.resident_bytes()
    waves = [await _wave(turn) for _ in range(1 if turn.is_quick else WAVES)]
    await asyncio.sleep(1)  # for connections to be closed on the server's side too
    answers = [answer for wave in waves for answer in wave]
    seconds = sum(max(one.ended for one in wave) - min(one.sent for one in wave) for wave in waves)
    return sample(
        answers,
        {
            MEMORY: (turn.server.resident_bytes() - memory) / 1e6,
            TOGETHER: float(min(map(most_together, waves))),
            STREAM_RATE: sum(answer.tokens for answer in answers) / seconds,
        },
    )


async def _wave(turn: Turn) -> list[Answer]:
    body = {
        "model": turn.desk.model,
        "messages": [{"role": "user", "content": SLOWLY}],
        "max_tokens": SLOW_TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started = await asyncio.gather(*(post(turn.desk.port, PATH, body) for _ in range(STREAMS)))
    return list(await asyncio.gather(*(one.answer() for one in started)))


def most_together(answers: Sequence[Answer]) -> int:
    """How many streams were between their first text and their end at the same time. Pure."""
    begun = [(one.text_times[0], 1) for one in answers if one.text_times]
    ended = [(one.ended, -1) for one in answers if one.text_times]
    most = now = 0
    for _, step in sorted(begun + ended):
        now += step
        most = max(most, now)
    return most


def _body(model: str, content: str) -> bytes:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}]}
    return json.dumps(body).encode()


def _median(replies: Sequence[Reply]) -> float:
    return percentile([reply.seconds for reply in replies], 50)


ADDED_TIME = Scenario(
    key="M",
    title="gateway: time added to an answer of an upstream that answers at once",
    measure=_added,
    claims=[
        Claim(figure, "ms", "at most", MOST_ADDED[at_a_time], 1 / 10, against=LITELLM)
        for at_a_time, figure in ADDED.items()
    ],
    contestants=(OUR_GATEWAY, LITELLM),
    compares_with=(UPSTREAM,),
)

STUB_RATE = Scenario(
    key="N",
    title="gateway: answers that it makes up itself, 32 at a time, one worker",
    measure=_rate,
    claims=(Claim(RATE, "requests/s", "at least", 3.0, 6.0, against=LITELLM),),
    contestants=(OUR_STUB, LITELLM),
)

MANY_STREAMS = Scenario(
    key="O",
    title="gateway: 500 streams of 50 tokens at once, ten a second each, four times",
    measure=_many_streams,
    claims=(
        Claim(MEMORY, "MB", "at most", 20.0, 0.0),
        Claim(TOGETHER, "streams", "at least", 0.9 * STREAMS, STREAMS),
    ),
    contestants=(OUR_GATEWAY,),
    compares_with=(UPSTREAM,),
)
