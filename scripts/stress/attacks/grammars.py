"""Grammars that are short and mean more than any machine can hold."""

import asyncio
import secrets
from typing import Any

from scripts.stress.attack import Attack, Place
from scripts.stress.case import MODEL, Outcome
from scripts.stress.talk import CHAT, ask, chat, error_of

RULES = (900, 2_000)
"""The fewer are within the bound on rules, and mean no less."""
AT_ONCE = 8
REFUSAL_SECONDS = 1.0


async def strike(place: Place) -> Outcome:
    """Eight at once, no two alike, so that nothing is answered from memory."""
    replies = await asyncio.gather(*(ask(place.port, CHAT, body) for body in _bombs()))
    seen = sorted({error_of(reply) for reply in replies})
    # What the compiler can follow without writing it out may be answered.
    is_well = {reply.status for reply in replies} <= {200, 400}
    is_quick = max(reply.seconds for reply in replies) < REFUSAL_SECONDS
    speed = "within" if is_quick else "not within"
    return Outcome(f"{', '.join(seen)} {speed} {REFUSAL_SECONDS:.0f} s", is_well and is_quick)


def _bombs() -> list[dict[str, Any]]:
    doubling = [
        notation(secrets.token_hex(4), rules)
        for notation in (_gbnf, _lark, _schema)
        for rules in RULES
    ]
    more = [_regex(secrets.token_hex(4)), _choices(secrets.token_hex(4))]
    return [chat(MODEL, **bomb) for bomb in (*doubling, *more)]


def _gbnf(word: str, count: int) -> dict[str, Any]:
    """Each rule is the next one twice."""
    rules = [f"r{number} ::= r{number + 1} r{number + 1}" for number in range(count)]
    return {"grammar": "\n".join(["root ::= r0", *rules, f'r{count} ::= "{word}"'])}


def _lark(word: str, count: int) -> dict[str, Any]:
    rules = [f"r{number}: r{number + 1} r{number + 1}" for number in range(count)]
    return {"grammar": "\n".join(["start: r0", *rules, f'r{count}: "{word}"'])}


def _schema(word: str, count: int) -> dict[str, Any]:
    """Each definition holds the next one twice."""
    definitions = {f"d{number}": _pair(f"#/$defs/d{number + 1}") for number in range(count)}
    definitions[f"d{count}"] = {"const": word}
    schema = {"$ref": "#/$defs/d0", "$defs": definitions}
    named = {"name": "s", "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _pair(reference: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"$ref": reference} for name in ("a", "b")},
        "required": ["a", "b"],
        "additionalProperties": False,
    }


def _regex(word: str) -> dict[str, Any]:
    return {"guided_regex": f"(((({word}{{1,999}}){{1,999}}){{1,999}}){{1,999}}){{1,999}}"}


def _choices(word: str) -> dict[str, Any]:
    return {"guided_choice": [f"{word} {number} " * 100 for number in range(1000)]}


ATTACK = Attack(
    "grammar bombs",
    f"{AT_ONCE} at once, of {RULES[0]} and {RULES[1]} doubling rules foremost: refused or answered"
    f" within {REFUSAL_SECONDS:.0f} s",
    strike,
    growth_mib=512.0,
)
