"""A list of calls in Python: Llama 4, and LFM2 between tokens of its own."""

from dataclasses import replace

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.keyword_arguments import KeywordArguments
from llm_api.core.llm.output.pattern import Slot

PYTHONIC = CallFormat(
    heads=((Slot.NAME, "("),),
    tails=((")",),),
    arguments=KeywordArguments(),
    opening="[",
    separator=", ",
    closing="]",
    is_anywhere=False,
)

LFM2 = replace(
    PYTHONIC,
    opening="<|tool_call_start|>[",
    closing="]<|tool_call_end|>",
    trigger="<|tool_call_start|>",
    is_anywhere=True,
)
