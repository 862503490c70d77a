"""Answers in every format, written out as the models write them, and a line of such a template."""

from dataclasses import dataclass

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.formats import (
    APERTUS,
    APRIEL,
    COMMAND_R7B,
    DEEPSEEK_R1,
    DEEPSEEK_V3_1,
    FUNCTIONARY_3_1,
    FUNCTIONARY_3_2,
    GLM_4_5,
    GLM_4_7,
    GPT_OSS,
    GRANITE_3,
    HERMES,
    KIMI_K2,
    LFM2,
    LLAMA3_JSON,
    MINIMAX_M1,
    MINIMAX_M2,
    MISTRAL_LIST,
    MISTRAL_NAMED,
    MISTRAL_WITH_ID,
    NEMOTRON,
    PYTHONIC,
    QWEN3_CODER,
    SEED_OSS,
)

ARGUMENTS = '{"city": "Paris", "days": 3}'


@dataclass(frozen=True)
class Sample:
    """Two calls as text: the weather in Paris for 3 days, and the time. Some formats take one."""

    format: CallFormat
    template: str
    text: str
    calls: int = 2


def deepseek(text: str) -> str:
    return text.replace("|", "\uff5c").replace("_", "\u2581").replace("get\u2581", "get_")


_LIST = (
    f'[{{"name": "get_weather", "arguments": {ARGUMENTS}}}, {{"name": "now", "arguments": {{}}}}]'
)

SAMPLES = (
    Sample(
        HERMES,
        '<tool_call>\n{"name": <function-name>',
        f'<tool_call>\n{{"name": "get_weather", "arguments": {ARGUMENTS}}}\n</tool_call>\n'
        '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    ),
    Sample(
        QWEN3_CODER,
        "<tool_call>\n<function=example>\n<parameter=example>",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
        "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n"
        "<tool_call>\n<function=now>\n</function>\n</tool_call>",
    ),
    Sample(
        SEED_OSS,
        "<seed:tool_call>\n<function=example>\n<parameter=example>",
        "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n"
        "<parameter=days>3</parameter>\n</function>\n</seed:tool_call>\n"
        "<seed:tool_call>\n<function=now>\n</function>\n</seed:tool_call>",
    ),
    Sample(
        LLAMA3_JSON,
        'Respond in the format {"name": function name, "parameters": dictionary',
        f'{{"name": "get_weather", "parameters": {ARGUMENTS}}}; '
        '{"name": "now", "parameters": {}}',
    ),
    Sample(
        MISTRAL_LIST,
        "[TOOL_CALLS][",
        f'[TOOL_CALLS][{{"name": "get_weather", "arguments": {ARGUMENTS}, "id": "abcdefgh1"}}, '
        '{"name": "now", "arguments": {}, "id": "abcdefgh2"}]',
    ),
    Sample(
        MISTRAL_NAMED,
        "[TOOL_CALLS]' + name + '[ARGS]",
        f"[TOOL_CALLS]get_weather[ARGS]{ARGUMENTS}[TOOL_CALLS]now[ARGS]{{}}",
    ),
    Sample(
        MISTRAL_WITH_ID,
        "[TOOL_CALLS]' + name + '[CALL_ID]' + id + '[ARGS]",
        f"[TOOL_CALLS]get_weather[CALL_ID]abcdefgh1[ARGS]{ARGUMENTS}"
        "[TOOL_CALLS]now[CALL_ID]abcdefgh2[ARGS]{}",
    ),
    Sample(PYTHONIC, "[func_name1(a=b)]", '[get_weather(city="Paris", days=3), now()]'),
    Sample(
        LFM2,
        "<|tool_list_start|>",
        '<|tool_call_start|>[get_weather(city="Paris", days=3), now()]<|tool_call_end|>',
    ),
    Sample(
        GPT_OSS,
        "<|channel|>commentary to=functions.name",
        f"<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{ARGUMENTS}",
        calls=1,
    ),
    Sample(
        FUNCTIONARY_3_1,
        "<function=example>{}</function>",
        f"<function=get_weather>{ARGUMENTS}</function><function=now>{{}}</function>",
    ),
    Sample(
        FUNCTIONARY_3_2,
        ">>>${recipient}",
        f"get_weather\n{ARGUMENTS}\n>>>now\n{{}}",
    ),
    Sample(
        DEEPSEEK_V3_1,
        deepseek("<|tool_calls_begin|>"),
        deepseek(
            f"<|tool_calls_begin|><|tool_call_begin|>get_weather<|tool_sep|>{ARGUMENTS}"
            "<|tool_call_end|><|tool_call_begin|>now<|tool_sep|>{}<|tool_call_end|>"
            "<|tool_calls_end|>"
        ),
    ),
    Sample(
        DEEPSEEK_R1,
        deepseek("<|tool_calls_begin|>") + "```json",
        deepseek(
            "<|tool_calls_begin|><|tool_call_begin|>function<|tool_sep|>get_weather\n"
            f"```json\n{ARGUMENTS}\n```<|tool_call_end|>\n"
            "<|tool_call_begin|>function<|tool_sep|>now\n```json\n{}\n```<|tool_call_end|>"
            "<|tool_calls_end|>"
        ),
    ),
    Sample(
        KIMI_K2,
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
        f"<|tool_call_argument_begin|>{ARGUMENTS}<|tool_call_end|>"
        "<|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
        "<|tool_calls_section_end|>",
    ),
    Sample(
        GLM_4_5,
        "<tool_call>{name}\n<arg_key>{key}</arg_key>\n<arg_value>",
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
        "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n"
        "<tool_call>now\n</tool_call>",
    ),
    Sample(
        GLM_4_7,
        "<tool_call>{name}<arg_key>{key}</arg_key><arg_value>",
        "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value>"
        "<arg_key>days</arg_key><arg_value>3</arg_value></tool_call><tool_call>now</tool_call>",
    ),
    Sample(
        MINIMAX_M1,
        "<tool_calls>\n{",
        f'<tool_calls>\n{{"name": "get_weather", "arguments": {ARGUMENTS}}}\n'
        '{"name": "now", "arguments": {}}\n</tool_calls>',
    ),
    Sample(
        MINIMAX_M2,
        '<minimax:tool_call>\n<invoke name="',
        '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris'
        '</parameter>\n<parameter name="days">3</parameter>\n</invoke>\n'
        '<invoke name="now">\n</invoke>\n</minimax:tool_call>',
    ),
    Sample(GRANITE_3, "<|tool_call|>", f"<|tool_call|>{_LIST}"),
    Sample(NEMOTRON, "<TOOLCALL>", f"<TOOLCALL>{_LIST}</TOOLCALL>"),
    Sample(APRIEL, "<tool_calls>[", f"<tool_calls>{_LIST}</tool_calls>"),
    Sample(
        COMMAND_R7B,
        "<|START_ACTION|>",
        '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": '
        f'{ARGUMENTS}}},\n    {{"tool_call_id": "1", "tool_name": "now", "parameters": {{}}}}\n]'
        "<|END_ACTION|>",
    ),
    Sample(
        APERTUS,
        "<|tools_prefix|>",
        f'<|tools_prefix|>[{{"get_weather": {ARGUMENTS}}}, {{"now": {{}}}}]<|tools_suffix|>',
    ),
)
