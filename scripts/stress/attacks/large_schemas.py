"""JSON Schemas of few values that are huge: a pattern of 10 MB, a constant of 5 MB."""

import asyncio
from typing import Any

from scripts.stress.attack import Attack, Place
from scripts.stress.case import MODEL, Outcome
from scripts.stress.talk import CHAT, ask, chat, error_of

PATTERN_MB, CONSTANT_MB = 10, 5


async def strike(place: Place) -> Outcome:
    replies = await asyncio.gather(*(ask(place.port, CHAT, body) for body in _bodies()))
    seen = sorted({error_of(reply) for reply in replies})
    return Outcome(", ".join(seen), all(reply.status == 400 for reply in replies))


def _bodies() -> list[dict[str, Any]]:
    """Each as the format of an answer, and as the parameters of a tool."""
    schemas = [
        {"type": "string", "pattern": "(a|b)" * (PATTERN_MB * 200_000)},
        {"const": "c" * (CONSTANT_MB * 1_000_000)},
    ]
    bodies = []
    for schema in schemas:
        named = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
        parameters = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
        tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
        bodies.append(chat(MODEL, response_format=named))
        bodies.append(chat(MODEL, tools=[tool], tool_choice="required"))
    return bodies


ATTACK = Attack(
    "large schemas",
    f"a pattern of {PATTERN_MB} MB and a constant of {CONSTANT_MB} MB in JSON Schemas: 400",
    strike,
    growth_mib=512.0,
)
