"""The cross-encoder with a tiny model: what it computes is the library's own business."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from llm_api.core.embeddings.cross_encoder import open_cross_encoder
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.embeddings.reranker import Judgement, LocalReranker, RerankRequest
from llm_api.core.errors import ContextLengthExceededError, DownloadError, UnavailableError
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


@asynccontextmanager
async def reranking(find: Callable[[], Path]) -> AsyncGenerator[LocalReranker, None]:
    run: Callable[[Callable[[], Result]], Awaitable[Result]] = here
    card = EmbedderCard("tiny", 0, "tests")
    opened = LocalReranker(card, lambda: open_cross_encoder(find()), run, batch_tokens=64)
    async with aclosing(opened) as reranker:
        yield reranker


async def judged(folder: Path, *texts: str, **options: Any) -> Judgement:
    async with reranking(lambda: folder) as reranker:
        return await reranker.judge(RerankRequest("cat", texts, **options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cross_encoder(tmp_path_factory.mktemp("cross-encoder"))


async def test_each_text_gets_the_score_that_the_library_gives_it(folder: Path) -> None:
    from sentence_transformers import CrossEncoder

    texts = ["the cat", "the dog", "cat cat cat", "the"]
    expected = CrossEncoder(str(folder)).predict([("cat", text) for text in texts])
    judgement = await judged(folder, *texts)
    assert judgement.relevance == pytest.approx([float(score) for score in expected], abs=1e-5)
    assert judgement.relevance == pytest.approx(1 / (1 + np.exp(-judgement.raw)))
    assert len({*judgement.raw.tolist()}) == len(texts)
    assert judgement.tokens == sum(3 + 1 + len(text.split()) for text in texts)


async def test_text_longer_than_the_model_reads_is_judged_by_its_beginning(folder: Path) -> None:
    judgement = await judged(folder, "dog " * 100, "dog " * 200, "dog")
    assert judgement.raw[0] == pytest.approx(judgement.raw[1])
    assert judgement.truncated == (0, 1)


async def test_a_text_is_cut_where_it_is_asked(folder: Path) -> None:
    judgement = await judged(folder, "dog the cat", "dog the", longest_text=2)
    assert judgement.raw[0] == pytest.approx(judgement.raw[1])
    assert judgement.truncated == (0,)


async def test_what_would_be_cut_is_refused_on_request(folder: Path) -> None:
    with pytest.raises(ContextLengthExceededError) as refusal:
        await judged(folder, "dog", "dog " * 100, truncates=False)
    assert refusal.value.param == "texts[1]"


async def test_no_texts_need_no_model() -> None:
    def never() -> Path:
        raise AssertionError

    async with reranking(never) as reranker:
        assert (await reranker.judge(RerankRequest("cat", []))).raw.size == 0


async def test_model_is_found_once(folder: Path) -> None:
    asked = []

    def find() -> Path:
        asked.append(1)
        return folder

    async with reranking(find) as reranker:
        await reranker.judge(RerankRequest("cat", ["the cat"]))
        await reranker.judge(RerankRequest("dog", ["the dog"]))
    assert asked == [1]


async def test_model_with_several_scores_is_no_reranker(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="3 scores instead of one"):
        await judged(write_cross_encoder(tmp_path, scores=3), "the cat")


async def test_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be read"):
        await judged(tmp_path, "the cat")


async def test_download_that_failed_is_tried_again(folder: Path) -> None:
    answers: list[Path | None] = [None, folder]

    def find() -> Path:
        if (found := answers.pop(0)) is None:
            raise DownloadError("No network.")
        return found

    async with reranking(find) as reranker:
        with pytest.raises(UnavailableError, match=r"No network\."):
            await reranker.judge(RerankRequest("cat", ["the cat"]))
        assert (await reranker.judge(RerankRequest("cat", ["the cat"]))).raw.size == 1
