"""Functionary: a tag with the name (v3.1), or a recipient before everything (v3.2)."""

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot

FUNCTIONARY_3_1 = CallFormat(
    heads=(("<function=", Slot.NAME, ">"),),
    tails=(("</function>",),),
    separator="",
    trigger="<function=",
)

FUNCTIONARY_3_2 = CallFormat(
    heads=((Slot.NAME, "\n"),),  # the prompt has written the first `>>>`
    separator="\n>>>",
    is_anywhere=False,
    text_opening="all\n",
    silent=(">>>all\n",),
)

FUNCTIONARY_3_2_LATER = CallFormat(heads=((">>>", Slot.NAME, "\n"),))
