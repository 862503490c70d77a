"""The default model as a GGUF file, through llama.cpp, agrees with sentence-transformers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf import PoolingType

from llm_api.core.embeddings.encoder import EncoderText, go_on
from llm_api.core.embeddings.gguf import GGUFEncoder, find_gguf, open_gguf
from llm_api.core.embeddings.sentence_transformer import SentenceTransformerEncoder
from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.files.installed import default_model_path
from tests.core.embeddings.bert_gguf import write_bert_gguf
from tests.extras import needs_sentence_transformers

TEXTS = [
    "A man is playing a harp.",
    "Überraschung: naïve café, 東京!",
    "long " * 120,
    "   ",
    *(f"Sentence number {number} of many." for number in range(80)),
]


@pytest.fixture(scope="module")
def path(default_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert_gguf(default_folder, tmp_path_factory.mktemp("gguf") / "minilm.gguf")


@pytest.fixture(scope="module")
def encoder(path: Path) -> Iterator[GGUFEncoder]:
    encoder = open_gguf(path, ModelOptions(), step_tokens=512, threads=1)
    yield encoder
    encoder.close()


def prepared(encoder: GGUFEncoder | SentenceTransformerEncoder) -> list[EncoderText]:
    return [
        EncoderText(text, ids) for text, ids in zip(TEXTS, encoder.tokenize(TEXTS), strict=True)
    ]


def test_facts_come_from_the_file(encoder: GGUFEncoder) -> None:
    facts = encoder.facts
    assert (facts.dimension, facts.max_tokens, facts.vocabulary_size) == (384, 512, 30522)


@needs_sentence_transformers
def test_tokens_are_those_of_the_models_own_tokenizer(
    encoder: GGUFEncoder, default_encoder: SentenceTransformerEncoder
) -> None:
    assert encoder.tokenize(TEXTS) == default_encoder.tokenize(TEXTS)


@needs_sentence_transformers
def test_vectors_agree_with_sentence_transformers(
    encoder: GGUFEncoder, default_encoder: SentenceTransformerEncoder
) -> None:
    ours = encoder.encode(prepared(encoder), None, go_on)
    theirs = default_encoder.encode(prepared(default_encoder), None, go_on)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-5)
    assert (ours * theirs).sum(axis=1).min() >= 0.999


def test_a_vector_does_not_depend_on_its_company(encoder: GGUFEncoder) -> None:
    together = encoder.encode(prepared(encoder), None, go_on)
    alone = np.vstack([encoder.encode([text], None, go_on) for text in prepared(encoder)[:6]])
    assert (together[:6] * alone).sum(axis=1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("text", ["A man is playing a harp.", "unbelievably, 東京 rained in"])
def test_tokens_spell_the_text_they_were_made_of(encoder: GGUFEncoder, text: str) -> None:
    [ids] = encoder.tokenize([text])
    assert encoder.tokenize([encoder.spell(ids)]) == [ids]


def test_what_is_cut_keeps_its_special_tokens(encoder: GGUFEncoder) -> None:
    [ids] = encoder.tokenize(["one two three four"])
    assert encoder.cut(ids, 4) == [ids[0], ids[1], ids[2], ids[-1]]


def test_pooling_is_what_the_file_says(
    encoder: GGUFEncoder, default_folder: Path, tmp_path: Path
) -> None:
    path = write_bert_gguf(default_folder, tmp_path / "cls.gguf", PoolingType.CLS)
    other = open_gguf(path, ModelOptions(), step_tokens=512, threads=1)
    [mean], [first] = (one.encode(prepared(one)[:1], None, go_on) for one in (encoder, other))
    other.close()
    assert float(mean @ first) < 0.99


def test_a_model_that_generates_is_refused() -> None:
    with pytest.raises(ModelFileError, match="no model that embeds"):
        open_gguf(default_model_path(), ModelOptions(), step_tokens=64, threads=1)


def test_a_name_is_a_path_unless_it_names_a_file_of_a_repository(tmp_path: Path) -> None:
    assert find_gguf("model.gguf", tmp_path) == Path("model.gguf")
    assert find_gguf("/a/b/c.gguf", tmp_path) == Path("/a/b/c.gguf")
    with pytest.raises(ModelFileError):
        open_gguf(find_gguf("absent.gguf", tmp_path), ModelOptions(), step_tokens=64, threads=1)
