import pytest

from llm_api.core.llm.files.gguf import GGUFModel
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.files.memory import resident_bytes
from llm_api.core.llm.files.parts import read_model


def model(kv_elements: int | None) -> GGUFModel:
    return GGUFModel("x", None, "F16", 0, None, False, 1000, kv_elements_per_token=kv_elements)


@pytest.mark.parametrize(
    ("kv_elements", "kv_type", "size"),
    [
        (None, "f16", 1000),
        (64, "f16", 1000 + 10 * 128),
        (64, "q8_0", 1000 + 10 * 68),
        (64, "q4_0", 1000 + 10 * 36),
    ],
)
def test_weights_and_kv_buffer_are_counted(
    kv_elements: int | None, kv_type: str, size: int
) -> None:
    assert resident_bytes(model(kv_elements), kv_tokens=10, kv_cache_type=kv_type) == size


def test_the_default_model_is_98_mb_and_23_kb_for_each_token() -> None:
    # 30 layers, 3 KV heads of 64 numbers, keys and values, two bytes each.
    read = read_model(default_model_path())
    assert resident_bytes(read, kv_tokens=16_384, kv_cache_type="f16") == (
        read.size_bytes + 16_384 * 30 * 3 * 128 * 2
    )
