"""Grammars that are short and mean more than any machine can hold."""

import asyncio
import json
import secrets
from typing import Any

from scripts.stress.attack import Attack, Place
from scripts.stress.case import MODEL, Outcome
from scripts.stress.talk import CHAT, ask, chat, error_of

RULES = 2_000
AT_ONCE = 8
REFUSAL_SECONDS = 1.0


async def strike(place: Place) -> Outcome:
    """Eight at once, no two alike, so that nothing is answered from memory."""
    replies = await asyncio.gather(*(ask(place.port, CHAT, body) for body in _bombs()))
    seen = sorted({error_of(reply) for reply in replies})
    is_refused = all(reply.status == 400 for reply in replies)
    is_quick = max(reply.seconds for reply in replies) < REFUSAL_SECONDS
    speed = "within" if is_quick else "not within"
    return Outcome(f"{', '.join(seen)} {speed} {REFUSAL_SECONDS:.0f} s", is_refused and is_quick)


def _bombs() -> list[dict[str, Any]]:
    notations = (_gbnf, _gbnf, _gbnf, _lark, _lark, _regex, _schema, _schema)
    return [chat(MODEL, **notation(secrets.token_hex(4))) for notation in notations]


def _gbnf(word: str) -> dict[str, Any]:
    """Twice the words of the next rule, 2,000 times over."""
    rules = [f"r{number} ::= r{number + 1} r{number + 1}" for number in range(RULES)]
    return {"grammar": "\n".join(["root ::= r0", *rules, f'r{RULES} ::= "{word}"'])}


def _lark(word: str) -> dict[str, Any]:
    rules = [f"r{number}: r{number + 1} r{number + 1}" for number in range(RULES)]
    return {"grammar": "\n".join(["start: r0", *rules, f'r{RULES}: "{word}"'])}


def _regex(word: str) -> dict[str, Any]:
    return {"guided_regex": f"(((({word}{{1,999}}){{1,999}}){{1,999}}){{1,999}}){{1,999}}"}


def _schema(word: str) -> dict[str, Any]:
    """Each definition holds the next one twice."""
    inner = {
        f"d{number}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{number + 1}"} for name in ("a", "b")},
            "required": ["a", "b"],
            "additionalProperties": False,
        }
        for number in range(RULES)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**inner, f"d{RULES}": {"const": word}}}
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "s", "schema": json.loads(json.dumps(schema))},
        }
    }


ATTACK = Attack(
    "grammar bombs",
    f"{AT_ONCE} at once of {RULES} doubling rules: 400 within {REFUSAL_SECONDS:.0f} s",
    strike,
    growth_mib=512.0,
)
