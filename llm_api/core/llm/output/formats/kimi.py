"""Numbered calls between tokens: Kimi K2."""

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot

KIMI_K2 = CallFormat(
    heads=(
        (
            "<|tool_call_begin|>functions.",
            Slot.NAME,
            ":",
            Slot.NUMBER,
            "<|tool_call_argument_begin|>",
        ),
    ),
    tails=(("<|tool_call_end|>",),),
    opening="<|tool_calls_section_begin|>",
    separator="",
    closing="<|tool_calls_section_end|>",
    trigger="<|tool_calls_section_begin|>",
)
