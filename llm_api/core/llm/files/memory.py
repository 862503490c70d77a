"""What a model needs in memory, said before it is loaded, from its header alone. Pure.

Counted: the weights, as large as their files, and the KV buffer. Not counted: llama.cpp's buffers
for the computation itself. With the default model the process grows by 25 to 28 MB more than said
here; a large model with a large vocabulary takes some hundred MB more, so leave that much of the
machine's memory out of the budget. What lies on a GPU counts as well, and a file that two models
share counts twice.
"""

from collections.abc import Mapping
from typing import Final

from llm_api.core.llm.files.gguf import GGUFModel

# ggml's blocks of 32 elements: 32 numbers and, where quantised, two bytes of scale.
BYTES_OF_32_ELEMENTS: Final[Mapping[str, int]] = {"f16": 64, "q8_0": 34, "q4_0": 18}


def resident_bytes(model: GGUFModel, *, kv_tokens: int, kv_cache_type: str) -> int:
    """Bytes of weights and KV buffer; of the weights alone where the header has no layout."""
    elements = (model.kv_elements_per_token or 0) * kv_tokens
    return model.size_bytes + elements * BYTES_OF_32_ELEMENTS[kv_cache_type] // 32
