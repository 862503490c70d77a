"""A tag for each parameter: Qwen3-Coder, and Seed-OSS under a name of its own."""

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot
from llm_api.core.llm.output.tagged_arguments import TaggedArguments

QWEN3_CODER = CallFormat(
    heads=(
        ("<tool_call>\n<function=", Slot.NAME, ">\n"),
        ("<function=", Slot.NAME, ">\n"),  # it forgets the outer tag
    ),
    tails=(("</function>\n</tool_call>",),),
    arguments=TaggedArguments("<parameter=", ">\n", "\n</parameter>\n"),
    trigger="<tool_call>",
)

SEED_OSS = CallFormat(
    heads=(("<seed:tool_call>\n<function=", Slot.NAME, ">\n"),),
    tails=(("</function>\n</seed:tool_call>",),),
    arguments=TaggedArguments("<parameter=", ">", "</parameter>\n"),
    trigger="<seed:tool_call>",
)
