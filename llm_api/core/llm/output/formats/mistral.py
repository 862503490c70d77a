"""Behind `[TOOL_CALLS]`: a JSON list in the older models, name and arguments in the newer."""

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot

MISTRAL_LIST = CallFormat(
    heads=(('{"name": "', Slot.NAME, '", "arguments": '),),
    tails=((', "id": "', Slot.ID, '"}'), ("}",)),
    opening="[TOOL_CALLS][",
    separator=", ",
    closing="]",
    trigger="[TOOL_CALLS]",
)

MISTRAL_NAMED = CallFormat(
    heads=(("[TOOL_CALLS]", Slot.NAME, "[ARGS]"),),
    separator="",
    trigger="[TOOL_CALLS]",
)

MISTRAL_WITH_ID = CallFormat(
    heads=(
        ("[TOOL_CALLS]", Slot.NAME, "[CALL_ID]", Slot.ID, "[ARGS]"),
        ("[TOOL_CALLS]", Slot.NAME, "[ARGS]"),
    ),
    separator="",
    trigger="[TOOL_CALLS]",
)
