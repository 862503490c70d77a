"""L: what it costs to be held to a JSON Schema, and what forced tokens give back."""

from typing import Any

from scripts.bench.answer import Answer
from scripts.bench.scenarios.scenario import OURS_ALONE, Claim, Sample, Scenario, Turn, sample

PROMPT_TOKENS = 16
ANSWER_TOKENS = 128
REPETITIONS = 3

FIXED, FREE_FORM = "fixed keys / free text", "free strings / free text"

WEATHER: dict[str, Any] = {
    "temperature_celsius": {"type": "integer", "minimum": -50, "maximum": 50},
    "wind_direction": {"enum": ["north", "east", "south", "west"]},
    "is_it_raining": {"type": "boolean"},
    "humidity_percent": {"type": "integer", "minimum": 0, "maximum": 100},
}
FIXED_KEYS = {
    "type": "object",
    "properties": WEATHER,
    "required": list(WEATHER),
    "additionalProperties": False,
}


def _many(items: dict[str, Any]) -> dict[str, Any]:
    """A form that no answer fills: every answer ends at its limit, as those of all scenarios."""
    return {
        "response_format": {
            "type": "json_object",
            "schema": {"type": "array", "items": items, "minItems": 1000},
        }
    }


FORMS: dict[str, dict[str, Any]] = {
    "free text": {},
    FIXED: _many(FIXED_KEYS),
    FREE_FORM: _many({"type": "string"}),
}


async def _in_turn(turn: Turn) -> Sample:
    """The three kinds of answers to the same prompts, each prompt's one after the other."""
    answers: dict[str, list[Answer]] = {form: [] for form in FORMS}
    for repetition in range(REPETITIONS):
        prompt = turn.desk.text(PROMPT_TOKENS, "L", turn.round_number, repetition)
        for form, fields in FORMS.items():
            messages = [{"role": "user", "content": prompt}]
            in_flight = await turn.desk.chat(messages, ANSWER_TOKENS, **fields)
            answers[form].append(await in_flight.answer())
    speeds = {
        form: sum(one.tokens for one in several) / sum(one.ended - one.sent for one in several)
        for form, several in answers.items()
    }
    return sample(
        [answer for several in answers.values() for answer in several],
        {form: speeds[form] / speeds["free text"] for form in (FIXED, FREE_FORM)},
    )


JSON_SCHEMA = Scenario(
    key="L",
    title="one stream held to a JSON Schema, 128 tokens out",
    measure=_in_turn,
    claims=(
        Claim(FIXED, "of the speed of free text", "at least", 1.2, 1.5),
        Claim(FREE_FORM, "of the speed of free text", "at least", 0.95, 1.0),
    ),
    contestants=OURS_ALONE,
)
