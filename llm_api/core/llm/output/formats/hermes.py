"""JSON between tags: Hermes, Qwen 2.5 and 3, and every model that was not taught another way."""

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot

HERMES = CallFormat(
    heads=(
        ('<tool_call>\n{"name": "', Slot.NAME, '", "arguments": '),
        ('<tool_call>\n{"name": "', Slot.NAME, '", "parameters": '),
    ),
    tails=(("}\n</tool_call>",),),
    trigger="<tool_call>",
)
