"""Every parameter of other servers that requests here may carry though it changes nothing.

One table for each object in which such a parameter stands. What is honoured or refused is declared
by the models themselves; a test compares the tables in docs/clients.md with all of it.
"""

from collections.abc import Mapping
from typing import Final

from llm_api.api.ignored import Foreign

_CACHED: Final = Foreign("prefixes are kept by themselves")
_NOT_SHOWN: Final = Foreign("nothing of the kind is shown", idle=(False,))
_SCHEDULED: Final = Foreign("the server itself orders its work", idle=(0, -1))
_ROUTED: Final = Foreign("the server's own settings say who answers")


def _only(*values: object) -> Foreign:
    return Foreign("any other value would change the answer", idle=values, is_binding=True)


MARKS: Final[Mapping[str, Foreign]] = {"cache_control": _CACHED}
"""On a part of a message."""

MESSAGE: Final[Mapping[str, Foreign]] = {
    **MARKS,
    "provider_specific_fields": Foreign("it says nothing to this server's models"),
    "reasoning_details": Foreign("a thought is read as `reasoning_content`"),
    "thinking_blocks": Foreign("a thought is read as `reasoning_content`"),
}
"""On a message, or on a call in one, by LiteLLM and OpenRouter."""

TOOL: Final[Mapping[str, Foreign]] = {
    **MARKS,
    "defer_loading": Foreign("every tool is shown to the model", idle=(False,)),
    "eager_input_streaming": Foreign("arguments are streamed always", idle=(True,)),
}
"""On a tool, or on the function in one."""

STREAM_OPTIONS: Final[Mapping[str, Foreign]] = {
    "include_obfuscation": Foreign("nothing is padded", idle=(False,)),
    "continuous_usage_stats": Foreign("the usage comes once, at the end", idle=(False,)),
}

GENERATION: Final[Mapping[str, Foreign]] = {
    "cache_control": _CACHED,
    "cache_prompt": Foreign("prefixes are kept by themselves", idle=(True,)),
    "id_slot": _SCHEDULED,
    "keep_alive": Foreign("the settings say how long a model stays in memory"),
    "n_cache_reuse": Foreign("only prefixes are kept", idle=(0,)),
    "n_keep": Foreign("a prompt is kept whole", idle=(0, -1)),
    "num_ctx": Foreign("the settings say how long a context is"),
    "priority": _SCHEDULED,
    "prompt_cache_options": _CACHED,
    "provider": _ROUTED,
    "request_id": Foreign("the header `x-request-id` names a request"),
    "return_tokens": _NOT_SHOWN,
    "route": _ROUTED,
    "service_tier": Foreign("there is one tier", idle=("auto", "default")),
    "session_id": Foreign("prefixes are found without it"),
    "sse_ping_interval": Foreign("`SSE_PING_SECONDS` says it"),
    "stream_interval": Foreign("every token is sent at once", idle=(1,)),
    "timings_per_token": _NOT_SHOWN,
    # Known values of what changes answers: the usual one is what is done anyway.
    "add_generation_prompt": _only(True),
    "allowed_token_ids": _only([]),
    "bad_words": _only([]),
    "continue_final_message": _only(False),
    "include_stop_str_in_output": _only(False),
    "length_penalty": _only(1, 1.0),
    "min_keep": _only(0),
    "min_tokens": _only(0),
    "n_indent": _only(0),
    "parse_tool_calls": _only(True),
    "post_sampling_probs": _only(False),
    "reasoning_format": _only("auto", "deepseek"),
    "response_fields": _only([]),
    "skip_special_tokens": _only(True),
    "spaces_between_special_tokens": _only(True),
    "stop_token_ids": _only([]),
    "t_max_predict_ms": _only(0, -1),
    "top_n_sigma": _only(-1, -1.0, 0, 0.0),
    "transforms": _only([]),
    "truncate_prompt_tokens": _only(-1),
    "use_beam_search": _only(False),
}
"""On a request that generates, by OpenAI, llama-server, vLLM, OpenRouter and Ollama."""

INFILL: Final[Mapping[str, Foreign]] = {
    **{name: one for name, one in GENERATION.items() if name != "response_fields"},
    "n_indent": Foreign("editors indent what they insert"),
    "t_max_predict_ms": Foreign("`n_predict` bounds the answer, and a client that leaves ends it"),
    "t_max_prompt_ms": Foreign("a prompt is computed whole"),
}
"""On a request to fill in text: what editors have fixed, and `response_fields` is honoured."""

CHAT: Final[Mapping[str, Foreign]] = {
    **GENERATION,
    "include_reasoning": Foreign("a thought is shown as `reasoning_content`", idle=(True,)),
    "store": Foreign("chat completions are not stored; responses are", idle=(False,)),
}

REASONING: Final[Mapping[str, Foreign]] = {
    "exclude": Foreign("a thought stands apart, as `reasoning_content`", idle=(False,)),
    "summary": Foreign("a thought is shown as it is"),
}
"""In `reasoning` of a chat."""

THINKING: Final[Mapping[str, Foreign]] = {
    "clear_thinking": Foreign("the chat template says which thoughts are shown again"),
    "display": Foreign("a thought is shown as it is"),
}
"""In `thinking` of a chat."""

_AT_LOAD: Final = Foreign("the settings say how a model is loaded")

OLLAMA: Final[Mapping[str, Foreign]] = {
    "truncate": Foreign("a prompt that is too long is refused, never cut", idle=(False,)),
    "shift": Foreign("an answer ends with the context, nothing of it is dropped", idle=(False,)),
    "cache_control": _CACHED,
}
"""On a request of Ollama's form that generates."""

OLLAMA_PULL: Final[Mapping[str, Foreign]] = {
    "insecure": Foreign("the hub, and how it is reached, is the server's setting", idle=(False,))
}
"""On a request to fetch a model."""

OLLAMA_OPTIONS: Final[Mapping[str, Foreign]] = {
    **dict.fromkeys(
        ("numa", "num_batch", "num_gpu", "main_gpu", "low_vram", "f16_kv", "num_thread"), _AT_LOAD
    ),
    **dict.fromkeys(
        ("logits_all", "vocab_only", "use_mmap", "use_mlock", "embedding_only"), _AT_LOAD
    ),
    "num_keep": Foreign("a prompt is kept whole"),
    "tfs_z": Foreign("no sampler of today has it", idle=(1, 1.0)),
    "penalize_newline": Foreign("penalties hold for line ends as well", idle=(True,)),
}
"""In the options of a request of Ollama's form."""

NESTED_OPTIONS: Final[Mapping[str, Foreign]] = {
    **OLLAMA_OPTIONS,
    "num_ctx": Foreign("the settings say how long a context is"),
}
"""In Ollama's options inside a request of OpenAI's form."""
