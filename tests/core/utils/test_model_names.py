import pytest

from llm_api.core.errors import ModelNotFoundError
from llm_api.core.utils.model_names import meant, unknown_model

LLAMA = "llama-2-7b-chat.Q4_K_M"
JINA = "jinaai/jina-embeddings-v3"
MODELS = {LLAMA: ("gpt-4o-mini",), "Qwen3-0.6B-UD-Q4_K_XL-00001-of-00003": (), JINA: ()}


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        (LLAMA, LLAMA),
        ("llama-2-7b-chat.Q4_K_M.gguf", LLAMA),
        ("Llama-2-7B-Chat.q4_k_m", LLAMA),
        ("llama-2-7b-chat", LLAMA),
        ("LLAMA-2-7b-chat.gguf", LLAMA),
        ("gpt-4o-mini", LLAMA),
        ("GPT-4o-mini", LLAMA),
        ("qwen3-0.6b", "Qwen3-0.6B-UD-Q4_K_XL-00001-of-00003"),
        ("qwen3-0.6b-ud-q4_k_xl", "Qwen3-0.6B-UD-Q4_K_XL-00001-of-00003"),
        ("jina-embeddings-v3", JINA),
        ("JinaAI/Jina-Embeddings-v3", JINA),
        ("llama-2-7b-chat.Q8_0", None),
        ("llama-2-7b", None),
        ("meta/llama-2-7b-chat", None),
        ("", None),
        ("v3", None),
    ],
)
def test_a_name_means_one_model_or_none(name: str, model_id: str | None) -> None:
    assert meant(name, MODELS) == model_id


PATTERNS = {
    "small": ("claude-*haiku*", "gpt-4*"),
    "large": ("claude-*", "gpt-4o", "*-Pro"),
    "other": ("gpt-4*-pro", "a*b*c"),
}


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        ("claude-3-5-haiku-20241022", "small"),
        ("claude-haiku-4-5", "small"),
        ("Claude-Opus-4-8", "large"),
        ("gpt-4.1", "small"),
        ("gpt-4o", "large"),
        ("gpt-4o.gguf", "large"),
        ("gpt-4-pro", "other"),
        ("o3-pro", "large"),
        ("abc", "other"),
        ("a-c-b-b-c", "other"),
        ("ac", None),
        ("abcd", None),
        ("o3", None),
        ("claude", None),
    ],
)
def test_of_patterns_the_one_that_says_the_most_is_meant(name: str, model_id: str | None) -> None:
    assert meant(name, PATTERNS) == model_id


def test_two_models_with_patterns_that_say_as_much_are_both_named() -> None:
    with pytest.raises(ModelNotFoundError, match="`one`, `two`"):
        meant("gpt-4.1-mini", {"one": ("gpt-4*",), "two": ("*-mini",)})


def test_an_unknown_name_is_told_the_nearest_and_what_to_do() -> None:
    message = unknown_model("gpt-4o-mnii", [LLAMA, "gpt-4o-mini", JINA]).message
    assert "Did you mean `gpt-4o-mini`?" in message
    assert "MODEL_ALIASES" in message
    assert "UNKNOWN_MODEL" in message
    assert LLAMA in message


@pytest.mark.parametrize(
    "suffix",
    [
        ".Q4_0",
        "-q4_1",
        ".Q5_K_S",
        "_Q6_K",
        ".Q8_0",
        ".IQ2_XXS",
        ".IQ4_NL",
        ".f16",
        "-BF16",
        ".fp16",
        ".F32",
        ".TQ1_0",
        "-mxfp4",
        "-MXFP4_MOE",
        ".Q4_0_4_4",
        "-UD-Q2_K_XL",
        ".Q3_K_L-00001-of-00009",
        "-00001-of-00002",
    ],
)
def test_a_model_file_answers_without_quantisation_and_part(suffix: str) -> None:
    assert meant("some-3b-model", {f"Some-3B-Model{suffix}": ()}) is not None


@pytest.mark.parametrize("name", ["qwen-q4", "model-v0.2", "model_8bit", "k2-f32x", "iq4_nl"])
def test_what_only_looks_a_little_like_a_quantisation_stays_in_the_name(name: str) -> None:
    stem = name.replace("_", "-").rpartition("-")[0]
    assert meant(stem, {name: ()}) is None


def test_a_name_of_several_is_refused_with_the_candidates() -> None:
    models = {"tiny.Q4_0": (), "tiny.Q8_0": (), "other": ()}
    with pytest.raises(ModelNotFoundError, match=r"`tiny` may be any of `tiny.Q4_0`, `tiny.Q8_0`:"):
        meant("tiny", models)
    assert meant("tiny.q8_0", models) == "tiny.Q8_0"


def test_the_nearest_name_wins_and_the_exact_one_first_of_all() -> None:
    models = {"tiny.Q4_0": ("TINY",), "tiny": (), "Tiny": ()}
    assert meant("tiny", models) == "tiny"
    assert meant("TINY", models) == "tiny.Q4_0"
    with pytest.raises(ModelNotFoundError, match=r"`tiny.Q4_0`, `tiny`, `Tiny`"):
        meant("tINY", models)
    assert meant("TINY.gguf", {"tiny": (), "tiny.Q4_0": ()}) == "tiny"


def test_one_model_under_two_names_is_no_ambiguity() -> None:
    assert meant("TINY", {"tiny.Q4_0": ("Tiny", "tiny")}) == "tiny.Q4_0"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tiny:latest", "Tiny"),
        ("owner/tiny:latest", None),
        ("smollm2:135m", "SmolLM2-135M-Instruct.Q4_1"),
        ("smollm2:135m-instruct-q4_1", None),
        ("Tiny:", None),
        (":latest", None),
        ("with:tag", "with:tag"),
    ],
)
def test_a_name_with_a_tag_means_what_ollama_means(name: str, found: str | None) -> None:
    models = {"Tiny": (), "SmolLM2-135M-Instruct.Q4_1": (), "with:tag": ()}
    assert meant(name, models) == found
