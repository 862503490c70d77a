"""A tag for each name and each value: GLM 4.5 and later, with line breaks between them or not."""

from dataclasses import replace

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot
from llm_api.core.llm.output.tagged_arguments import TaggedArguments

GLM_4_5 = CallFormat(
    heads=(("<tool_call>", Slot.NAME, "\n"),),
    tails=(("</tool_call>",),),
    arguments=TaggedArguments("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
    trigger="<tool_call>",
)

GLM_4_7 = replace(
    GLM_4_5,
    heads=(("<tool_call>", Slot.NAME),),
    arguments=TaggedArguments("<arg_key>", "</arg_key><arg_value>", "</arg_value>"),
    separator="",
)
