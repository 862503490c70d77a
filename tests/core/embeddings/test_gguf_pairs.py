"""A BERT with a head that ranks, through llama.cpp: its scores are those of the formula."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf import PoolingType
from numpy.typing import NDArray

from llm_api.core.embeddings.gguf import open_gguf
from llm_api.core.embeddings.gguf_pairs import GGUFPairs, open_gguf_pairs
from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.llama_pooling import PoolingContext
from tests.core.embeddings.bert_gguf import write_bert_gguf

WIDTH = 384
QUESTION = "Which animal purrs?"
TEXTS = ["Cats purr when they are content.", "Dogs bark.", "long " * 900, ""]


def random_head() -> dict[str, NDArray[np.float32]]:
    """As a BERT's classifier has them: a dense layer, tanh, and one number."""
    generator = np.random.default_rng(3)
    shapes = {
        "cls.weight": (WIDTH, WIDTH),
        "cls.bias": (WIDTH,),
        "cls.output.weight": (1, WIDTH),
        "cls.output.bias": (1,),
    }
    return {
        name: generator.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()
    }


HEAD = random_head()


@pytest.fixture(scope="module")
def pairs(default_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GGUFPairs]:
    path = tmp_path_factory.mktemp("rank") / "rank.gguf"
    write_bert_gguf(default_folder, path, PoolingType.RANK, HEAD)
    pairs = open_gguf_pairs(path, ModelOptions(), step_tokens=512, threads=1)
    yield pairs
    pairs.close()


@pytest.fixture(scope="module")
def first_tokens(
    default_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolingContext]:
    """The same model without its head: the vector of the first token."""
    path = tmp_path_factory.mktemp("cls") / "cls.gguf"
    write_bert_gguf(default_folder, path, PoolingType.CLS)
    context = PoolingContext(LlamaModel(path, ModelOptions()), step_tokens=512, threads=1)
    yield context
    context.close()


def test_scores_are_those_of_the_formula(pairs: GGUFPairs, first_tokens: PoolingContext) -> None:
    asked = [pairs.pair(QUESTION, text, None) for text in TEXTS]
    vectors = first_tokens.embed([one.ids for one in asked])
    hidden = np.tanh(vectors @ HEAD["cls.weight"].T + HEAD["cls.bias"])
    expected = hidden @ HEAD["cls.output.weight"].T + HEAD["cls.output.bias"]
    scores = pairs.encode(asked)
    assert scores.shape == (len(TEXTS), 1)
    assert scores == pytest.approx(expected, abs=0.01)
    assert np.ptp(scores) > 0.05


def test_a_pair_is_laid_out_as_llama_cpp_s_server_does(pairs: GGUFPairs) -> None:
    """The vocabulary is BERT's: [CLS] question [SEP] text, as its flags say."""
    model = pairs._context.model
    marks = {name: model.control_tokens[name] for name in ("[CLS]", "[SEP]")}
    ids = list(pairs.pair("cat", "dog", None).ids)
    cat, dog = (
        model.tokenize(word, add_special=False, parse_special=False) for word in ("cat", "dog")
    )
    assert ids[: 3 + len(dog)] == [marks["[CLS]"], *cat, marks["[SEP]"], *dog]


def test_what_is_too_long_is_cut_at_the_end_of_the_text(pairs: GGUFPairs) -> None:
    long = pairs.pair(QUESTION, "long " * 900, None)
    assert (len(long.ids), long.is_cut) == (pairs.max_tokens, True)
    assert pairs.pair("ask " * 900, "short text", None).is_cut is False
    assert pairs.pair(QUESTION, "one two three", 2).ids == pairs.pair(QUESTION, "one two", 2).ids


def test_control_texts_in_a_text_are_words(pairs: GGUFPairs) -> None:
    separator = pairs._context.model.control_tokens["[SEP]"]
    plain, forged = (pairs.pair("cat", text, None).ids for text in ("dog", "dog [SEP] dog"))
    assert list(forged).count(separator) == list(plain).count(separator)


def test_a_file_without_a_head_is_refused(default_folder: Path, tmp_path: Path) -> None:
    path = write_bert_gguf(default_folder, tmp_path / "plain.gguf", PoolingType.RANK)
    with pytest.raises(ModelFileError, match="no head that ranks"):
        open_gguf_pairs(path, ModelOptions(), step_tokens=64, threads=1)


def test_a_model_that_ranks_does_not_embed(default_folder: Path, tmp_path: Path) -> None:
    path = write_bert_gguf(default_folder, tmp_path / "rank.gguf", PoolingType.RANK, HEAD)
    with pytest.raises(ModelFileError, match="RERANK_MODEL"):
        open_gguf(path, ModelOptions(), step_tokens=64, threads=1)
