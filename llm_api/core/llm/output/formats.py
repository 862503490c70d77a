"""Every tool-call format as data, and how a chat template shows that its model writes it.

The formats stand by notation: JSON, tags, Python, control tokens. A new one is a `CallFormat` here,
a line of `_TABLE`, and a sample in tests/core/llm/output/format_samples.py.
"""

from dataclasses import replace
from typing import Final

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.keyword_arguments import KeywordArguments
from llm_api.core.llm.output.pattern import OpenPart, Part
from llm_api.core.llm.output.tagged_arguments import TaggedArguments

# JSON between tags: Hermes, Qwen 2.5 and 3, and every model that was not taught another way.


def _objects(*before: str) -> tuple[tuple[Part, ...], ...]:
    """JSON objects behind each of these texts, with `arguments` or else `parameters`."""
    return tuple(
        (text + '{"name": "', OpenPart.NAME, f'", "{keyword}": ')
        for text in before
        for keyword in ("arguments", "parameters")
    )


HERMES = CallFormat(
    heads=_objects("<tool_call>\n"), tails=(("}\n</tool_call>",),), trigger="<tool_call>"
)

# Bare JSON at the beginning, with `parameters`: Llama 3.1 to 3.3; or behind a token.
LLAMA3_JSON = CallFormat(
    heads=(
        ('{"name": "', OpenPart.NAME, '", "parameters": '),
        ('{"type": "function", "name": "', OpenPart.NAME, '", "parameters": '),
        ('{"name": "', OpenPart.NAME, '", "arguments": '),
    ),
    tails=(("}",),),
    separator="; ",
    is_anywhere=False,
)

LLAMA3_PYTHON_TAG = replace(
    LLAMA3_JSON, opening="<|python_tag|>", trigger="<|python_tag|>", is_anywhere=True
)

# A JSON list behind a mark: Granite 3, Nemotron, Apriel, older Mistrals, Command R7B, Apertus.
_OBJECT: Final[tuple[Part, ...]] = ('{"name": "', OpenPart.NAME, '", "arguments": ')


def _json_list(trigger: str, behind: str = "", *, has_ids: bool = False) -> CallFormat:
    """With `has_ids`, models are made to write an id in each call; without, it is understood."""
    tails: tuple[tuple[Part, ...], ...] = (("}",), (', "id": "', OpenPart.ID, '"}'))
    return CallFormat(
        heads=(_OBJECT,),
        tails=tails[::-1] if has_ids else tails,
        opening=f"{trigger}[",
        separator=", ",
        closing=f"]{behind}",
        trigger=trigger,
    )


GRANITE_3 = _json_list("<|tool_call|>")

APRIEL = _json_list("<tool_calls>", "</tool_calls>")

NEMOTRON = _json_list("<TOOLCALL>", "</TOOLCALL>")

MISTRAL_LIST = _json_list("[TOOL_CALLS]", has_ids=True)

COMMAND_R7B = CallFormat(
    heads=(
        (
            '{"tool_call_id": "',
            OpenPart.NUMBER,
            '", "tool_name": "',
            OpenPart.NAME,
            '", "parameters": ',
        ),
        ('{"tool_name": "', OpenPart.NAME, '", "parameters": '),
    ),
    tails=(("}",),),
    opening="<|START_ACTION|>[\n    ",
    separator=",\n    ",
    closing="\n]<|END_ACTION|>",
    trigger="<|START_ACTION|>",
)

APERTUS = CallFormat(
    heads=(('{"', OpenPart.NAME, '": '),),
    tails=(("}",),),
    opening="<|tools_prefix|>[",
    separator=", ",
    closing="]<|tools_suffix|>",
    trigger="<|tools_prefix|>",
)

# Name and arguments behind `[TOOL_CALLS]`: the newer Mistrals.
MISTRAL_NAMED = CallFormat(
    heads=(("[TOOL_CALLS]", OpenPart.NAME, "[ARGS]"),),
    separator="",
    trigger="[TOOL_CALLS]",
)

MISTRAL_WITH_ID = CallFormat(
    heads=(
        ("[TOOL_CALLS]", OpenPart.NAME, "[CALL_ID]", OpenPart.ID, "[ARGS]"),
        ("[TOOL_CALLS]", OpenPart.NAME, "[ARGS]"),
    ),
    separator="",
    trigger="[TOOL_CALLS]",
)

# JSON in lines within one tag (MiniMax M1), or invocations with named parameters (M2).
MINIMAX_M1 = CallFormat(
    heads=(_OBJECT,),
    tails=(("}",),),
    opening="<tool_calls>\n",
    closing="\n</tool_calls>",
    trigger="<tool_calls>",
)

MINIMAX_M2 = CallFormat(
    heads=(('<invoke name="', OpenPart.NAME, '">\n'),),
    tails=(("</invoke>",),),
    arguments=TaggedArguments('<parameter name="', '">', "</parameter>\n"),
    opening="<minimax:tool_call>\n",
    closing="\n</minimax:tool_call>",
    trigger="<minimax:tool_call>",
)

# A tag for each parameter: Qwen3-Coder, and with another outer tag Seed-OSS.
QWEN3_CODER = CallFormat(
    heads=(
        ("<tool_call>\n<function=", OpenPart.NAME, ">\n"),
        ("<function=", OpenPart.NAME, ">\n"),  # it forgets the outer tag
    ),
    tails=(("</function>\n</tool_call>",),),
    arguments=TaggedArguments("<parameter=", ">\n", "\n</parameter>\n"),
    trigger="<tool_call>",
)

SEED_OSS = CallFormat(
    heads=(("<seed:tool_call>\n<function=", OpenPart.NAME, ">\n"),),
    tails=(("</function>\n</seed:tool_call>",),),
    arguments=TaggedArguments("<parameter=", ">", "</parameter>\n"),
    trigger="<seed:tool_call>",
)

# A tag for each name and each value: GLM 4.5 and later, with line breaks between them or not.
GLM_4_5 = CallFormat(
    heads=(("<tool_call>", OpenPart.NAME, "\n"),),
    tails=(("</tool_call>",),),
    arguments=TaggedArguments("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
    trigger="<tool_call>",
)

GLM_4_7 = replace(
    GLM_4_5,
    heads=(("<tool_call>", OpenPart.NAME),),
    arguments=TaggedArguments("<arg_key>", "</arg_key><arg_value>", "</arg_value>"),
    separator="",
)

# A list of calls in Python: Llama 4; and between two tokens, LFM2.
PYTHONIC = CallFormat(
    heads=((OpenPart.NAME, "("),),
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

# Functionary: a tag with the name (v3.1), or a recipient before everything (v3.2).
FUNCTIONARY_3_1 = CallFormat(
    heads=(("<function=", OpenPart.NAME, ">"),),
    tails=(("</function>",),),
    separator="",
    trigger="<function=",
)

FUNCTIONARY_3_2 = CallFormat(
    heads=((OpenPart.NAME, "\n"),),  # the prompt has written the first `>>>`
    separator="\n>>>",
    is_anywhere=False,
    text_opening="all\n",
    silent=(">>>all\n",),
)

FUNCTIONARY_3_2_LATER = CallFormat(heads=((">>>", OpenPart.NAME, "\n"),))


# Tokens around each part of a call: DeepSeek R1 and V3, and shorter from V3.1 on.
def _token(words: str) -> str:
    """The text of a control token, in DeepSeek's unusual characters."""
    return "<\uff5c" + words.replace(" ", "\u2581") + "\uff5c>"


DEEPSEEK_SIGN: Final = _token("tool calls begin")

DEEPSEEK_V3_1 = CallFormat(
    heads=((_token("tool call begin"), OpenPart.NAME, _token("tool sep")),),
    tails=((_token("tool call end"),),),
    opening=DEEPSEEK_SIGN,
    separator="",
    closing=_token("tool calls end"),
    trigger=DEEPSEEK_SIGN,
)

DEEPSEEK_R1 = CallFormat(
    heads=(
        (f"{_token('tool call begin')}function{_token('tool sep')}", OpenPart.NAME, "\n```json\n"),
    ),
    tails=((f"\n```{_token('tool call end')}",),),
    opening=DEEPSEEK_SIGN,
    closing=_token("tool calls end"),
    trigger=DEEPSEEK_SIGN,
)

# Numbered calls between tokens: Kimi K2.
KIMI_K2 = CallFormat(
    heads=(
        (
            "<|tool_call_begin|>functions.",
            OpenPart.NAME,
            ":",
            OpenPart.NUMBER,
            "<|tool_call_argument_begin|>",
        ),
    ),
    tails=(("<|tool_call_end|>",),),
    opening="<|tool_calls_section_begin|>",
    separator="",
    closing="<|tool_calls_section_end|>",
    trigger="<|tool_calls_section_begin|>",
)

# Channels: gpt-oss thinks in `analysis`, calls in `commentary` and answers in `final`.
_JSON = " <|constrain|>json<|message|>"

GPT_OSS = CallFormat(
    heads=(
        ("<|channel|>commentary to=functions.", OpenPart.NAME, _JSON),
        ("<|channel|>commentary to=functions.", OpenPart.NAME, " json<|message|>"),
        ("<|channel|>commentary to=functions.", OpenPart.NAME, "<|message|>"),
        ("<|channel|>analysis to=functions.", OpenPart.NAME, _JSON),
        ("<|channel|>analysis to=functions.", OpenPart.NAME, "<|message|>"),
    ),
    is_anywhere=False,
    takes_several=False,  # a call ends the turn
    text_opening="<|channel|>final<|message|>",
    preamble=("<|channel|>commentary<|message|>", "<|end|><|start|>assistant"),
    silent=(
        "<|start|>assistant",
        "<|channel|>final<|message|>",
        "<|channel|>commentary<|message|>",
        "<|end|>",
        "<|call|>",
    ),
)

GPT_OSS_RECIPIENT_FIRST = replace(
    GPT_OSS,
    heads=(
        (" to=functions.", OpenPart.NAME, "<|channel|>commentary" + _JSON),
        (" to=functions.", OpenPart.NAME, "<|channel|>commentary json<|message|>"),
        (" to=functions.", OpenPart.NAME, "<|channel|>commentary<|message|>"),
        (" to=functions.", OpenPart.NAME, "<|channel|>analysis" + _JSON),
    ),
)


STRAYS: Final = (
    HERMES,
    CallFormat(_objects("```json\n", "```\n"), tails=(("}\n```",),)),
    CallFormat(_objects("<tools>\n"), tails=(("}\n</tools>",),)),
    CallFormat(_objects(""), tails=(("}",),), is_anywhere=False),
)
"""Formats that models fall into though their template taught them another one.

Seen: a fenced block and the tags that stand around the functions in the prompt
(Qwen2.5-Coder-1.5B-Instruct), bare JSON, the tags of another family. Ordinary JSON stays text: only
an object that names a known function, and then its arguments, is a call.
"""

_TABLE: Final[tuple[tuple[tuple[str, ...], tuple[CallFormat, ...]], ...]] = (
    (("<|channel|>", "to=functions."), (GPT_OSS, GPT_OSS_RECIPIENT_FIRST)),
    (("<|channel|>", '"functions." +'), (GPT_OSS, GPT_OSS_RECIPIENT_FIRST)),
    (("[TOOL_CALLS]", "[CALL_ID]"), (MISTRAL_WITH_ID,)),
    (("[TOOL_CALLS]", "[ARGS]"), (MISTRAL_NAMED,)),
    (("[TOOL_CALLS]",), (MISTRAL_LIST,)),
    (("<minimax:tool_call>", "<invoke name="), (MINIMAX_M2,)),
    (("<seed:tool_call>", "<parameter="), (SEED_OSS,)),
    (("<tool_call>", "<function=", "<parameter="), (QWEN3_CODER,)),
    (("<tool_call>", "</arg_key><arg_value>"), (GLM_4_7,)),
    (("<tool_call>", "<arg_value>"), (GLM_4_5,)),
    (("<tool_calls>[",), (APRIEL,)),
    (("<tool_call>",), (HERMES,)),
    ((">>>${recipient}",), (FUNCTIONARY_3_2, FUNCTIONARY_3_2_LATER)),
    (("<function=", "</function>"), (FUNCTIONARY_3_1,)),
    ((DEEPSEEK_SIGN, "```json"), (DEEPSEEK_R1,)),
    ((DEEPSEEK_SIGN,), (DEEPSEEK_V3_1,)),
    (("<|tool_calls_section_begin|>",), (KIMI_K2,)),
    (("<|tool_call|>",), (GRANITE_3,)),
    (("<TOOLCALL>",), (NEMOTRON,)),
    (("<tool_calls>",), (MINIMAX_M1,)),
    (("<|START_ACTION|>",), (COMMAND_R7B,)),
    (("<|tools_prefix|>",), (APERTUS,)),
    (("<|tool_list_start|>",), (LFM2,)),
    (("List of tools: [",), (LFM2,)),
    (("[func_name1(",), (PYTHONIC,)),
    (('{"name": function name, "parameters"',), (LLAMA3_JSON, LLAMA3_PYTHON_TAG)),
)
"""Signs that a template contains, all of them, and its model's formats. The first fit holds."""


def recognise_formats(template_source: str) -> tuple[CallFormat, ...]:
    """The formats of a model, the one that it was trained on first.

    Hermes where none is recognised: a model without functions is taught that in the prompt.
    """
    for signs, formats in _TABLE:
        if all(sign in template_source for sign in signs):
            return formats
    return (HERMES,)
