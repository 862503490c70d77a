"""Every parameter of other servers that requests here may carry though it changes nothing.

One table for each object in which such a parameter stands. What is honoured or refused is declared
by the models themselves; the two tables in docs/clients.md are compared with all of it.
"""

from collections.abc import Mapping
from typing import Final

from llm_api.api.ignored import Foreign

_CACHED: Final = Foreign("prefixes are kept by themselves")

MARKS: Final[Mapping[str, Foreign]] = {"cache_control": _CACHED}
"""On a message, a part of one, or a tool."""

GENERATION: Final[Mapping[str, Foreign]] = {
    "cache_control": _CACHED,
    "keep_alive": Foreign("the settings say how long a model stays in memory"),
}
"""On a request that generates."""

_AT_LOAD: Final = Foreign("the settings say how a model is loaded")

OLLAMA: Final[Mapping[str, Foreign]] = {
    "truncate": Foreign("a prompt that is too long is refused, never cut", idle=(False,)),
    "shift": Foreign("an answer ends with the context, nothing of it is dropped", idle=(False,)),
    "cache_control": _CACHED,
}
"""On a request of Ollama's form."""

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
