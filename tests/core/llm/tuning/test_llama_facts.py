from pathlib import Path

import pytest

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.tuning.llama_facts import (
    kv_bytes_per_token,
    library_facts,
    parse_cpu_features,
)
from tests.core.llm.tiny_gguf import write_gguf


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("", set()),
        ("CPU : SSE3 = 1 | AVX = 0 | REPACK = 1 | ", {"SSE3", "REPACK"}),
        ("CUDA : ARCHS = 900 | USE_GRAPHS = 1 | CPU : AVX = 1 | ", {"AVX"}),
        ("CPU : AVX = 1 | Metal : EMBED_LIBRARY = 1 | ", {"AVX"}),
    ],
)
def test_only_the_features_of_the_cpu_are_read(text: str, features: set[str]) -> None:
    assert parse_cpu_features(text) == features


def test_this_build_tells_its_features_and_devices() -> None:
    facts = library_facts()
    assert facts.cpu_features
    assert facts.supports_gpu or not facts.gpus


def test_the_kv_buffer_of_the_default_model_is_computed_from_its_header() -> None:
    layers, kv_heads, head_size = 30, 3, 64
    assert kv_bytes_per_token(default_model_path()) == layers * kv_heads * 2 * head_size * 2


def test_a_model_that_llama_cpp_does_not_know_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot load"):
        kv_bytes_per_token(write_gguf(tmp_path / "m.gguf"))
