"""Every tool-call format, and how a chat template shows that its model writes it."""

from typing import Final

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.formats.deepseek import DEEPSEEK_R1, DEEPSEEK_SIGN, DEEPSEEK_V3_1
from llm_api.core.llm.output.formats.functionary import (
    FUNCTIONARY_3_1,
    FUNCTIONARY_3_2,
    FUNCTIONARY_3_2_LATER,
)
from llm_api.core.llm.output.formats.glm import GLM_4_5, GLM_4_7
from llm_api.core.llm.output.formats.gpt_oss import GPT_OSS, GPT_OSS_RECIPIENT_FIRST
from llm_api.core.llm.output.formats.hermes import HERMES
from llm_api.core.llm.output.formats.json_list import (
    APERTUS,
    APRIEL,
    COMMAND_R7B,
    GRANITE_3,
    NEMOTRON,
)
from llm_api.core.llm.output.formats.kimi import KIMI_K2
from llm_api.core.llm.output.formats.llama import LLAMA3_JSON, LLAMA3_PYTHON_TAG
from llm_api.core.llm.output.formats.minimax import MINIMAX_M1, MINIMAX_M2
from llm_api.core.llm.output.formats.mistral import MISTRAL_LIST, MISTRAL_NAMED, MISTRAL_WITH_ID
from llm_api.core.llm.output.formats.pythonic import LFM2, PYTHONIC
from llm_api.core.llm.output.formats.qwen3_coder import QWEN3_CODER, SEED_OSS

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
"""Texts that a template holds all of, and its model's formats; the first line that fits holds."""


def recognise_formats(template_source: str) -> tuple[CallFormat, ...]:
    """The formats of a model, the one that it was trained on first.

    Hermes where none is recognised: a model without functions is taught that in the prompt.
    """
    for signs, formats in _TABLE:
        if all(sign in template_source for sign in signs):
            return formats
    return (HERMES,)
