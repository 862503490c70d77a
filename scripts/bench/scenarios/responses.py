"""R, S: what other doors cost beside chat, and the next turn by a response's id."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import Any

from scripts.bench.connection import Connection, Reply, connect
from scripts.bench.contestants import OUR_STUB
from scripts.bench.requests import Desk
from scripts.bench.scenarios.scenario import OURS_ALONE, Claim, Sample, Scenario, Turn
from scripts.bench.scenarios.texts import reply_sample
from scripts.bench.statistics import percentile

PATH = "/v1/responses"
MESSAGES_PATH = "/v1/messages"
OLLAMA_PATH = "/api/chat"
WORDS = "one two three four five six seven eight"
CLIENTS = 32
REQUESTS = 960
SLICES = 4
"""All kinds of request in turns, so that they see the same machine."""

HISTORY_TURNS = 4
HISTORY_TOKENS = 150
QUESTION_TOKENS = 16

CHAT = "chat, requests/s"
NOT_STORED, STORED = "store false / chat", "store true / chat"
MESSAGES, OLLAMA = "messages / chat", "ollama / chat"
FIRST, FOLLOW_UP = "first turn, ms", "next turn, ms"
SHARE = "next turn / first turn"


async def _rates(turn: Turn) -> Sample:
    """The rates of five kinds of request."""
    model = turn.desk.model
    messages = [{"role": "user", "content": WORDS}]
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        CHAT: ("/v1/chat/completions", {"model": model, "messages": messages}),
        NOT_STORED: (PATH, {"model": model, "input": WORDS, "store": False}),
        STORED: (PATH, {"model": model, "input": WORDS}),
        MESSAGES: (MESSAGES_PATH, {"model": model, "messages": messages, "max_tokens": 64}),
        OLLAMA: (OLLAMA_PATH, {"model": model, "messages": messages, "stream": False}),
    }
    count = REQUESTS // 10 if turn.is_quick else REQUESTS
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    replies: list[Reply] = []
    for path, body in kinds.values():
        await _load(turn.desk.port, path, body, count // 10)
    for _ in range(SLICES):
        for kind, (path, body) in kinds.items():
            began = time.perf_counter()
            got = await _load(turn.desk.port, path, body, count // SLICES)
            rates[kind].append(len(got) / (time.perf_counter() - began))
            replies += got
    medians = {kind: percentile(several, 50) for kind, several in rates.items()}
    shares = {kind: medians[kind] / medians[CHAT] for kind in kinds if kind != CHAT}
    return reply_sample(replies, {CHAT: medians[CHAT], **shares})


async def _load(port: int, path: str, body: dict[str, Any], count: int) -> list[Reply]:
    content = json.dumps(body).encode()

    async def client(connection: Connection) -> list[Reply]:
        return [await connection.post(path, content) for _ in range(max(count // CLIENTS, 1))]

    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect(port)) for _ in range(CLIENTS)]
        parts = await asyncio.gather(*map(client, connections))
    return [reply for part in parts for reply in part]


async def _next_turn(turn: Turn) -> Sample:
    """Answers of one token, whole: how long they take is how long the first token takes."""
    desk, number = turn.desk, turn.round_number
    items = [_message("system", desk.text(32, "S", number))]
    for past in range(HISTORY_TURNS):
        items += [
            _message(role, desk.text(HISTORY_TOKENS, "S", number, past, role))
            for role in ("user", "assistant")
        ]
    items.append(_message("user", desk.text(QUESTION_TOKENS, "S", number, "first")))
    async with connect(desk.port) as connection:
        # Opens the database, once in a server's life.
        await _ask(connection, desk, input=desk.text(4, "S", number, "warm-up"))
        first = await _ask(connection, desk, input=items)
        follow_up = await _ask(
            connection,
            desk,
            input=desk.text(QUESTION_TOKENS, "S", number, "next"),
            previous_response_id=json.loads(first.body)["id"],
        )
    before, after = first.seconds, follow_up.seconds
    figures = {SHARE: after / before, FIRST: 1000 * before, FOLLOW_UP: 1000 * after}
    return reply_sample([first, follow_up], figures)


async def _ask(connection: Connection, desk: Desk, **fields: object) -> Reply:
    body = {"model": desk.model, "temperature": 0, "max_output_tokens": 1, **fields}
    return await connection.post(PATH, json.dumps(body).encode())


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


RESPONSE_RATES = Scenario(
    key="R",
    title="other doors beside chat completions, answers made up at once, 32 at a time",
    measure=_rates,
    claims=(
        Claim(NOT_STORED, "of chat's requests/s", "at least", 0.8, 0.95),
        Claim(STORED, "of chat's requests/s", "at least", 0.4, 0.7),
        Claim(MESSAGES, "of chat's requests/s", "at least", 0.8, 0.9),
        Claim(OLLAMA, "of chat's requests/s", "at least", 0.9, 1),
    ),
    contestants=(OUR_STUB,),
)

NEXT_RESPONSE = Scenario(
    key="S",
    title="next turn by previous_response_id on a conversation of 1,250 tokens",
    measure=_next_turn,
    claims=(Claim(SHARE, "of the first turn's time to first token", "at most", 1 / 5, 1 / 20),),
    contestants=OURS_ALONE,
)
