import pytest

from llm_api.core.llm.tuning.llama_facts import library_facts, parse_cpu_features


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
