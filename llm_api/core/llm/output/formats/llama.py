"""Bare JSON at the beginning, with `parameters`: Llama 3.1 to 3.3. Or behind a token of its own."""

from dataclasses import replace

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot

LLAMA3_JSON = CallFormat(
    heads=(
        ('{"name": "', Slot.NAME, '", "parameters": '),
        ('{"type": "function", "name": "', Slot.NAME, '", "parameters": '),
        ('{"name": "', Slot.NAME, '", "arguments": '),
    ),
    tails=(("}",),),
    separator="; ",
    is_anywhere=False,
)

LLAMA3_PYTHON_TAG = replace(
    LLAMA3_JSON, opening="<|python_tag|>", trigger="<|python_tag|>", is_anywhere=True
)
