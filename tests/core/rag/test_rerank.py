"""The cross-encoder with a tiny model: what it computes is the library's own business."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from llm_api.core.errors import DownloadError, UnavailableError
from llm_api.core.rag.rerank import CrossEncoderReranker
from tests.extras import needs_sentence_transformers

pytestmark = needs_sentence_transformers

Result = TypeVar("Result")

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "the")


def write_cross_encoder(folder: Path, scores: int = 1) -> Path:
    """A BERT of one layer with weights at random, in transformers' layout."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=1.0,
    )
    config.num_labels = scores
    BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 32}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


async def here(function: Callable[[], Result]) -> Result:
    return function()


def reranker(folder: Callable[[], Path]) -> CrossEncoderReranker:
    run: Callable[[Callable[[], Result]], Awaitable[Result]] = here
    return CrossEncoderReranker(folder, run)


async def test_each_text_gets_the_score_that_the_library_gives_it(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    folder = write_cross_encoder(tmp_path)
    texts = ["the cat", "the dog", "cat cat cat", "the"]
    expected = CrossEncoder(str(folder)).predict([("cat", text) for text in texts])
    scores = await reranker(lambda: folder).rerank("cat", texts)
    assert scores == pytest.approx([float(score) for score in expected], abs=1e-5)
    assert len(set(scores)) == len(texts)


async def test_text_longer_than_the_model_reads_is_judged_by_its_beginning(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path)
    one, other = await reranker(lambda: folder).rerank("cat", ["dog " * 100, "dog " * 200])
    assert one == pytest.approx(other)


async def test_no_texts_need_no_model() -> None:
    def never() -> Path:
        raise AssertionError

    assert await reranker(never).rerank("cat", []) == []


async def test_model_is_found_once(tmp_path: Path) -> None:
    asked = []

    def find() -> Path:
        asked.append(1)
        return write_cross_encoder(tmp_path)

    one = reranker(find)
    await one.rerank("cat", ["the cat"])
    await one.rerank("dog", ["the dog"])
    assert asked == [1]


async def test_model_with_several_scores_is_no_reranker(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path, scores=3)
    with pytest.raises(UnavailableError, match="3 scores instead of one"):
        await reranker(lambda: folder).rerank("cat", ["the cat"])


async def test_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be read"):
        await reranker(lambda: tmp_path).rerank("cat", ["the cat"])


async def test_download_that_failed_is_tried_again(tmp_path: Path) -> None:
    answers: list[Path | None] = [None, write_cross_encoder(tmp_path)]

    def find() -> Path:
        if (folder := answers.pop(0)) is None:
            raise DownloadError("No network.")
        return folder

    one = reranker(find)
    with pytest.raises(UnavailableError, match=r"No network\."):
        await one.rerank("cat", ["the cat"])
    assert len(await one.rerank("cat", ["the cat"])) == 1
