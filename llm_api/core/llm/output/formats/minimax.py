"""JSON in lines within one tag (MiniMax M1), or invocations with named parameters (M2)."""

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot
from llm_api.core.llm.output.tagged_arguments import TaggedArguments

MINIMAX_M1 = CallFormat(
    heads=(('{"name": "', Slot.NAME, '", "arguments": '),),
    tails=(("}",),),
    opening="<tool_calls>\n",
    closing="\n</tool_calls>",
    trigger="<tool_calls>",
)

MINIMAX_M2 = CallFormat(
    heads=(('<invoke name="', Slot.NAME, '">\n'),),
    tails=(("</invoke>",),),
    arguments=TaggedArguments('<parameter name="', '">', "</parameter>\n"),
    opening="<minimax:tool_call>\n",
    closing="\n</minimax:tool_call>",
    trigger="<minimax:tool_call>",
)
