"""A JSON list behind a mark: Granite 3, Nemotron, Apriel, Command R7B, Apertus."""

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Part, Slot

_OBJECT: tuple[tuple[Part, ...], ...] = (('{"name": "', Slot.NAME, '", "arguments": '),)


def _list(trigger: str, behind: str = "") -> CallFormat:
    return CallFormat(
        heads=_OBJECT,
        tails=(("}",), (', "id": "', Slot.ID, '"}')),
        opening=f"{trigger}[",
        separator=", ",
        closing=f"]{behind}",
        trigger=trigger,
    )


GRANITE_3 = _list("<|tool_call|>")

APRIEL = _list("<tool_calls>", "</tool_calls>")

NEMOTRON = _list("<TOOLCALL>", "</TOOLCALL>")

COMMAND_R7B = CallFormat(
    heads=(
        ('{"tool_call_id": "', Slot.NUMBER, '", "tool_name": "', Slot.NAME, '", "parameters": '),
        ('{"tool_name": "', Slot.NAME, '", "parameters": '),
    ),
    tails=(("}",),),
    opening="<|START_ACTION|>[\n    ",
    separator=",\n    ",
    closing="\n]<|END_ACTION|>",
    trigger="<|START_ACTION|>",
)

APERTUS = CallFormat(
    heads=(('{"', Slot.NAME, '": '),),
    tails=(("}",),),
    opening="<|tools_prefix|>[",
    separator=", ",
    closing="]<|tools_suffix|>",
    trigger="<|tools_prefix|>",
)
