"""The default model without PyTorch, and what sentence-transformers makes of the same texts."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.encoder import Encoder, EncoderText, go_on
from llm_api.core.embeddings.onnx import OnnxEncoder
from llm_api.core.embeddings.sentence_transformer import (
    SentenceTransformerEncoder,
    SentenceTransformerOptions,
    open_sentence_transformer,
)
from llm_api.core.errors import ModelFileError
from tests.core.embeddings.tiny_models import DIMENSION, MAX_TOKENS, write_plain_model
from tests.extras import needs_sentence_transformers

TEXTS = [
    "A man is playing a harp.",
    "Überraschung: naïve café, 東京, ﬁ Ⅷ and 🙂!",
    "   ",
    "long " * 120,
    "[SEP] is a control token, and so is [UNK].",
    "zero\u200bwidth, soft\u00adhyphen, \x00 and \ufeff",
    "much too long " * 200,
    *(f"Sentence number {number} of many." for number in range(40)),
]


@pytest.fixture(scope="module", params=[1, 3], ids=["one thread", "three threads"])
def encoder(default_folder: Path, request: pytest.FixtureRequest) -> Iterator[OnnxEncoder]:
    encoder = OnnxEncoder(default_folder, request.param)
    yield encoder
    encoder.close()


def prepared(encoder: Encoder, texts: list[str]) -> list[EncoderText]:
    limit = encoder.facts.max_tokens
    tokens = encoder.tokenize(texts)
    return [
        EncoderText(text, encoder.cut(ids, limit)) for text, ids in zip(texts, tokens, strict=True)
    ]


def encode(encoder: Encoder, texts: list[str]) -> Vectors:
    return encoder.encode(prepared(encoder, texts), None, go_on)


@needs_sentence_transformers
def test_facts_and_tokens_are_those_of_the_library(
    encoder: OnnxEncoder, default_encoder: SentenceTransformerEncoder
) -> None:
    assert encoder.facts == default_encoder.facts
    assert encoder.tokenize(TEXTS) == default_encoder.tokenize(TEXTS)
    assert prepared(encoder, TEXTS) == prepared(default_encoder, TEXTS)


@needs_sentence_transformers
def test_vectors_are_the_librarys_in_float32(
    encoder: OnnxEncoder, default_encoder: SentenceTransformerEncoder
) -> None:
    ours = encode(encoder, TEXTS)
    assert ours.dtype == np.float32
    assert ours == pytest.approx(encode(default_encoder, TEXTS), abs=2e-6)


def test_gold_cosines(encoder: OnnxEncoder) -> None:
    """Those that the library's documentation shows for this model and these sentences."""
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = encode(encoder, texts)
    gold = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    assert vectors @ vectors.T == pytest.approx(np.array(gold), abs=1e-4)


def test_a_vector_does_not_depend_on_its_company(encoder: OnnxEncoder) -> None:
    alone = np.vstack([encode(encoder, [text]) for text in TEXTS])
    assert encode(encoder, TEXTS) == pytest.approx(alone, abs=2e-6)


def test_another_batch_may_be_computed_in_a_pause(encoder: OnnxEncoder) -> None:
    queries = ["a query", *TEXTS[:4]]
    alone, queried = encode(encoder, TEXTS), encode(encoder, queries)
    between: list[Vectors] = []

    def pause() -> None:
        between.append(encode(encoder, queries))

    assert encoder.encode(prepared(encoder, TEXTS), None, pause) == pytest.approx(alone, abs=2e-6)
    assert len(between) == 12, "twice in each of the six layers"
    assert all(vectors == pytest.approx(queried, abs=2e-6) for vectors in between)


@pytest.mark.parametrize("text", TEXTS[:4])
def test_tokens_spell_the_text_they_were_made_of(encoder: OnnxEncoder, text: str) -> None:
    [ids] = encoder.tokenize([text])
    assert encoder.tokenize([encoder.spell(ids)]) == [ids]


def test_the_default_model_needs_no_pytorch(default_folder: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'sentence_transformers'): sys.modules[name] = None\n"
        "from pathlib import Path\n"
        "from llm_api.core.embeddings.encoder import *\n"
        "from llm_api.core.embeddings.onnx import OnnxEncoder\n"
        "encoder = OnnxEncoder(Path(sys.argv[1]), 1)\n"
        "[ids] = encoder.tokenize(['rain'])\n"
        "print(encoder.encode([EncoderText('rain', ids)], None, go_on).shape)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program, str(default_folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "(1, 384)\n", done.stderr


@needs_sentence_transformers
def test_another_bert_of_this_kind_is_computed_as_the_library_does(tmp_path: Path) -> None:
    folder = write_plain_model(tmp_path)
    encoder = OnnxEncoder(folder, 1)
    library = open_sentence_transformer(SentenceTransformerOptions(folder, numerics="float32"))
    texts = ["the river rose over night", "the night", "rivers " * MAX_TOKENS]
    assert encoder.facts == library.facts
    assert encoder.facts.dimension == DIMENSION
    assert encode(encoder, texts) == pytest.approx(encode(library, texts), abs=1e-6)
    encoder.close()


def altered(folder: Path, target: Path, file: str, change: dict[str, object]) -> Path:
    """The small files of a model, one of them changed; its weights are empty."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors", "*.md"))
    (target / "model.safetensors").write_bytes(b"\0" * 8)
    said = json.loads((target / file).read_text())
    (target / file).write_text(json.dumps(said[:-1] if isinstance(said, list) else said | change))
    return target


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("config.json", {"model_type": "xlm-roberta"}, "its model_type is xlm-roberta"),
        ("config.json", {"hidden_act": "relu"}, "its hidden_act is relu"),
        ("config.json", {"position_embedding_type": "rope"}, "its position_embedding_type is rope"),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}, "otherwise than as the mean"),
        ("modules.json", {}, "otherwise than as the mean, of length 1"),
        ("config.json", {"num_hidden_layers": None}, "no model that can be read here"),
        ("config.json", {}, r"model\.safetensors"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(
    default_folder: Path, tmp_path: Path, file: str, change: dict[str, object], reason: str
) -> None:
    folder = altered(default_folder, tmp_path / "model", file, change)
    with pytest.raises(ModelFileError, match=reason) as caught:
        OnnxEncoder(folder, 1)
    assert "\n" not in caught.value.message


def test_weights_that_are_cut_off_are_refused(default_folder: Path, tmp_path: Path) -> None:
    folder = altered(default_folder, tmp_path / "model", "config.json", {})
    with (default_folder / "model.safetensors").open("rb") as weights:
        (folder / "model.safetensors").write_bytes(weights.read(1_000_000))
    with pytest.raises(ModelFileError, match=r"model\.safetensors cannot be read"):
        OnnxEncoder(folder, 1)
