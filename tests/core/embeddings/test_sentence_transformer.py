"""The default model, and what the library itself makes of the same texts."""

import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llm_api.core.embeddings.embedder import EmbeddingRequest, Vectors
from llm_api.core.embeddings.encoder import EncoderText, go_on
from llm_api.core.embeddings.prompts import choose_treatment
from llm_api.core.embeddings.sentence_transformer import (
    SentenceTransformerEncoder,
    SentenceTransformerOptions,
    open_sentence_transformer,
)
from llm_api.core.embeddings.vectors import LEAST_COSINE, LEAST_MEAN_COSINE
from llm_api.core.errors import ModelFileError
from tests.core.embeddings.tiny_models import (
    DIMENSION,
    MAX_TOKENS,
    PROMPTS,
    TASKS,
    write_adapted_model,
)
from tests.extras import needs_sentence_transformers

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = needs_sentence_transformers

TEXTS = [
    "A man is playing a harp.",
    "A man is playing a keyboard.",
    "Stock markets fell sharply on Monday.",
    "Überraschung: naïve café, 東京 and 🙂!",
    "   ",
    "long " * 120,
    "[SEP] is a control token, and so is [UNK].",
]


def encode(encoder: SentenceTransformerEncoder, texts: list[str]) -> Vectors:
    limit = encoder.facts.max_tokens
    tokens = encoder.tokenize(texts)
    prepared = [
        EncoderText(text, encoder.cut(ids, limit)) for text, ids in zip(texts, tokens, strict=True)
    ]
    return encoder.encode(prepared, None, go_on)


def cosines(some: Vectors, others: Vectors) -> Vectors:
    lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    return np.asarray((some * others).sum(axis=1) / lengths)


@pytest.fixture(scope="module")
def library(default_folder: Path) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(default_folder), device="cpu", local_files_only=True)


def test_facts_of_the_default_model(default_encoder: SentenceTransformerEncoder) -> None:
    facts = default_encoder.facts
    assert (facts.dimension, facts.max_tokens, facts.vocabulary_size) == (384, 256, 30522)
    assert (facts.prompts, facts.adapters, facts.matryoshka_dimensions) == ({}, (), ())


def test_vectors_are_the_librarys_own(
    default_encoder: SentenceTransformerEncoder, library: "SentenceTransformer"
) -> None:
    texts = [*TEXTS, "much too long " * 200]
    ours = encode(default_encoder, texts)
    assert ours.dtype == np.float32
    assert ours == pytest.approx(library.encode(texts, batch_size=2), abs=2e-6)


def test_gold_cosines(default_encoder: SentenceTransformerEncoder) -> None:
    """Those that the library's documentation shows for this model and these sentences."""
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = encode(default_encoder, texts)
    gold = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    assert vectors @ vectors.T == pytest.approx(np.array(gold), abs=1e-4)


def test_a_vector_does_not_depend_on_its_company(
    default_encoder: SentenceTransformerEncoder,
) -> None:
    together = encode(default_encoder, TEXTS)
    alone = np.vstack([encode(default_encoder, [text]) for text in TEXTS])
    assert together == pytest.approx(alone, abs=2e-6)


def test_another_batch_may_be_computed_in_a_pause(
    default_encoder: SentenceTransformerEncoder,
) -> None:
    alone, query = encode(default_encoder, TEXTS), encode(default_encoder, ["a query"])
    between: list[Vectors] = []
    tokens = default_encoder.tokenize([*TEXTS, "a query"])
    batch = [EncoderText(text, ids) for text, ids in zip(TEXTS, tokens[:-1], strict=True)]

    def pause() -> None:
        between.append(default_encoder.encode([EncoderText("", tokens[-1])], None, go_on))

    assert default_encoder.encode(batch, None, pause) == pytest.approx(alone, abs=2e-6)
    assert len(between) >= 12, "at least twice in each of the six layers"
    assert all(vectors == pytest.approx(query, abs=2e-6) for vectors in between)


def test_attention_is_chosen_by_length_and_put_back(
    default_encoder: SentenceTransformerEncoder,
) -> None:
    seen: list[str] = []
    config = default_encoder._config
    assert config is not None
    usual = config._attn_implementation
    short, long = ([EncoderText("", [101, *[2000] * count, 102])] for count in (30, 200))

    def look() -> None:
        seen.append(config._attn_implementation)

    def look_and_encode() -> None:
        if len(seen) == 1:
            default_encoder.encode(short, None, look)
        look()

    look()
    default_encoder.encode(long, None, look_and_encode)
    look()
    ways = [way for way, _ in groupby(seen[1:-1])]
    assert (seen[0], ways, seen[-1]) == (usual, ["eager", "sdpa"], usual)


def test_bfloat16_is_near_enough_to_float32(
    default_folder: Path, default_encoder: SentenceTransformerEncoder
) -> None:
    options = SentenceTransformerOptions(default_folder, numerics="bfloat16")
    other = encode(open_sentence_transformer(options), TEXTS)
    near = cosines(other, encode(default_encoder, TEXTS))
    assert near.mean() >= LEAST_MEAN_COSINE
    assert near.min() >= LEAST_COSINE
    assert near.min() < 1 - 1e-6, "it is another arithmetic"
    assert np.linalg.norm(other, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_spell_the_text_they_were_made_of(
    default_encoder: SentenceTransformerEncoder, text: str
) -> None:
    [ids] = default_encoder.tokenize([text])
    assert default_encoder.tokenize([default_encoder.spell(ids)]) == [ids]


# What tiktoken's cl100k_base makes of "hello world" and of "The quick brown fox".
@pytest.mark.parametrize("ids", [[15339, 1917], [791, 4062, 14198, 39935]])
def test_ids_of_another_vocabulary_are_within_this_one_and_yet_told_apart(
    default_encoder: SentenceTransformerEncoder, ids: list[int]
) -> None:
    assert default_encoder.tokenize([default_encoder.spell(ids)]) != [ids]


def test_what_is_cut_keeps_its_special_tokens(
    default_encoder: SentenceTransformerEncoder,
) -> None:
    [ids] = default_encoder.tokenize(["one two three four"])
    assert default_encoder.cut(ids, 6) == ids
    assert default_encoder.cut(ids, 4) == [ids[0], ids[1], ids[2], ids[-1]]


def test_a_folder_without_a_model_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        open_sentence_transformer(SentenceTransformerOptions(tmp_path))
    assert str(tmp_path) in caught.value.message
    assert "\n" not in caught.value.message


def test_the_server_starts_without_the_heavy_libraries() -> None:
    program = (
        "import sys, llm_api.main; sys.exit(len({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603


def test_a_missing_package_is_named_with_its_cure(default_folder: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from llm_api.core.embeddings.sentence_transformer import *\n"
        "try: open_sentence_transformer(SentenceTransformerOptions(Path(sys.argv[1])))\n"
        "except ModelFileError as error: print(error.message)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program, str(default_folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "pip install 'llm_api[embeddings]'" in done.stdout, done.stderr


@pytest.fixture(scope="module")
def adapted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted_model(tmp_path_factory.mktemp("adapted"))


@pytest.fixture(scope="module")
def adapted(adapted_folder: Path) -> SentenceTransformerEncoder:
    """A model made as jina-embeddings-v3 is: with code of its own, tasks and several lengths."""
    return open_sentence_transformer(
        SentenceTransformerOptions(adapted_folder, trusts_remote_code=True, numerics="float32")
    )


def test_code_of_a_models_own_runs_only_if_it_is_trusted(adapted_folder: Path) -> None:
    with pytest.raises(ModelFileError, match="EMBEDDING_TRUST_REMOTE_CODE=true"):
        open_sentence_transformer(SentenceTransformerOptions(adapted_folder))


def test_a_model_says_its_tasks_prompts_and_lengths(adapted: SentenceTransformerEncoder) -> None:
    facts = adapted.facts
    assert facts.adapters == TASKS
    assert facts.prompts == {name: prompt for name, prompt in PROMPTS.items() if prompt}
    assert facts.matryoshka_dimensions == (4, 8, DIMENSION)
    assert (facts.dimension, facts.max_tokens) == (DIMENSION, MAX_TOKENS)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_the_librarys_task_and_prompt(
    adapted: SentenceTransformerEncoder, adapted_folder: Path, task: str
) -> None:
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(
        str(adapted_folder), device="cpu", trust_remote_code=True, local_files_only=True
    )
    texts = ["the river rose over night", "the night"]
    expected = library.encode(texts, task=task, prompt_name=task)
    treatment = choose_treatment(EmbeddingRequest(texts, task=task), adapted.facts)
    prompted = [treatment.prompt + text for text in texts]
    prepared = [
        EncoderText(text, ids)
        for text, ids in zip(prompted, adapted.tokenize(prompted), strict=True)
    ]
    ours = adapted.encode(prepared, treatment.adapter, go_on)
    assert ours == pytest.approx(expected, abs=1e-6)
    assert np.abs(ours - adapted.encode(prepared, None, go_on)).max() > 0.01, "the task matters"


def test_a_model_that_prepares_texts_in_another_way_gets_the_texts(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "river": 1, "night": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)]).save(str(tmp_path))
    encoder = open_sentence_transformer(SentenceTransformerOptions(tmp_path, numerics="float32"))
    texts = ["river", "night river night"]
    library = SentenceTransformer(str(tmp_path), device="cpu", local_files_only=True)
    assert encode(encoder, texts) == pytest.approx(library.encode(texts), abs=1e-6)
    assert encoder.tokenize(texts) == [[1], [2, 1, 2]]


def test_code_from_another_repository_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"auto_map": {"AutoModel": "someone/code--modeling.Model"}}
    folder = write_adapted_model(tmp_path, **extra)
    open_sentence_transformer(SentenceTransformerOptions(folder, trusts_remote_code=True))
    assert "runs code of someone/code, in no pinned revision" in caplog.text
