"""GGUF models with a head that ranks, through llama.cpp: no PyTorch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.reranker import LONG_TOKEN, PairText
from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.llama_ranking import RankingContext, check_head
from llm_api.core.llm.files.parts import read_model


class GGUFPairs:
    """One loaded model, as a `PairEncoder`. Pairs are laid out as llama.cpp's server does."""

    def __init__(self, context: RankingContext) -> None:
        self._context = context
        self._frame = context.frame

    @property
    def max_tokens(self) -> int:
        return self._context.max_tokens

    def pair(self, question: str, text: str, longest_text: int | None) -> PairText:
        """The text is cut where both are too long, and the question only where it fills half."""
        opening, between, closing = self._frame
        room = self.max_tokens - len(opening) - len(between) - len(closing)
        asked = self._tokens(question)
        tokens = self._tokens(text)
        asked = asked[: max(room - len(tokens), room // 2)]
        kept = tokens[: room - len(asked)][:longest_text]
        ids = [*opening, *asked, *between, *kept, *closing]
        return PairText(text, ids, question, is_cut=len(kept) < len(tokens))

    def encode(self, pairs: Sequence[PairText]) -> Vectors:
        scores = self._context.embed([pair.ids for pair in pairs])[:, :1]
        if self._context.dimension == 1:
            return scores
        # Of several classes, llama.cpp gives probabilities, the first that of a good answer.
        probability = np.clip(scores, 1e-7, 1 - 1e-7)
        odds: Vectors = np.log(probability / (1 - probability)).astype(np.float32)
        return odds

    def close(self) -> None:
        self._context.close()

    def _tokens(self, text: str) -> list[int]:
        shown = text[: LONG_TOKEN * self.max_tokens]
        return self._context.model.tokenize(shown, add_special=False, parse_special=False)


def open_gguf_pairs(
    path: Path, model: ModelOptions, *, step_tokens: int, threads: int
) -> GGUFPairs:
    """Load a model on the thread that will compute with it. Blocks. Raises ModelFileError."""
    read_model(path)
    check_head(path)
    loaded = LlamaModel(path, model)
    try:
        return GGUFPairs(RankingContext(loaded, step_tokens=step_tokens, threads=threads))
    except ModelFileError:
        loaded.close()
        raise
