"""Many JSON Schemas, no two alike: each is compiled, none may stay."""

import asyncio
from typing import Any

from scripts.bench.connection import connect
from scripts.stress.case import MODEL, PARALLEL, Case, Outcome, Target
from scripts.stress.talk import CHAT, MIB, chat, post

SCHEMAS = 2000
GROWTH_MIB = 16.0


async def run(target: Target) -> Outcome:
    """The first half fills what caches there are; the second must not add to it."""
    before = target.server.resident_bytes()
    bad = await _ask_all(target.port, 0, SCHEMAS // 2)
    half = target.server.resident_bytes()
    bad += await _ask_all(target.port, SCHEMAS // 2, SCHEMAS)
    after = target.server.resident_bytes()
    first, second = (half - before) / MIB, (after - half) / MIB
    return Outcome(
        f"{SCHEMAS - bad} of {SCHEMAS} answered; memory {first:+.0f} MiB, then {second:+.0f} MiB",
        bad == 0 and second < GROWTH_MIB,
    )


async def _ask_all(port: int, first: int, end: int) -> int:
    """As many at a time as there are places; how many were not answered 200."""
    numbers = iter(range(first, end))

    async def ask_some() -> int:
        async with connect(port) as connection:
            replies = [
                (await post(connection, CHAT, _request(number))).status for number in numbers
            ]
        return sum(status != 200 for status in replies)

    return sum(await asyncio.gather(*(ask_some() for _ in range(PARALLEL))))


def _request(number: int) -> dict[str, Any]:
    """Distinct in names, values and shape."""
    names = [f"field_{number}_{index}" for index in range(3 + number % 5)]
    schema = {
        "type": "object",
        "properties": {
            name: {"type": "string", "enum": [f"{name}_{value}" for value in "abc"]}
            for name in names
        },
        "required": names,
        "additionalProperties": False,
    }
    named = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    return chat(MODEL, "Hi", max_tokens=2, response_format=named)


CASE = Case("schemas", f"{SCHEMAS} distinct JSON Schemas: memory stays after the first half", run)
