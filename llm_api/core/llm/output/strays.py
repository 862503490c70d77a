"""Calls that models write though their template taught them another way.

Seen: a fenced block (Qwen2.5-Coder-1.5B-Instruct), bare JSON, another family's tags. Ordinary
JSON stays text: only an object that names a known function, and then its arguments, is a call.
"""

from typing import Final

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.formats.hermes import HERMES
from llm_api.core.llm.output.pattern import Part, Slot


def _heads(*before: str) -> tuple[tuple[Part, ...], ...]:
    return tuple(
        (text + '{"name": "', Slot.NAME, f'", "{keyword}": ')
        for text in before
        for keyword in ("arguments", "parameters")
    )


STRAYS: Final = (
    HERMES,
    CallFormat(_heads("```json\n", "```\n"), tails=(("}\n```",),)),
    CallFormat(_heads(""), tails=(("}",),), is_anywhere=False),
)
