"""Tokens around each part of a call: DeepSeek R1 and V3, and shorter from V3.1 on."""

from typing import Final

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot


def _token(words: str) -> str:
    """The text of a control token, in DeepSeek's unusual characters."""
    return "<\uff5c" + words.replace(" ", "\u2581") + "\uff5c>"


DEEPSEEK_SIGN: Final = _token("tool calls begin")

DEEPSEEK_V3_1 = CallFormat(
    heads=((_token("tool call begin"), Slot.NAME, _token("tool sep")),),
    tails=((_token("tool call end"),),),
    opening=DEEPSEEK_SIGN,
    separator="",
    closing=_token("tool calls end"),
    trigger=DEEPSEEK_SIGN,
)

DEEPSEEK_R1 = CallFormat(
    heads=((f"{_token('tool call begin')}function{_token('tool sep')}", Slot.NAME, "\n```json\n"),),
    tails=((f"\n```{_token('tool call end')}",),),
    opening=DEEPSEEK_SIGN,
    closing=_token("tool calls end"),
    trigger=DEEPSEEK_SIGN,
)
