"""Cross-encoders of sentence-transformers, which read question and text together.

The library is imported when a model is opened, never before: that takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.reranker import LONG_TOKEN, PairText
from llm_api.core.errors import ModelFileError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_LONGEST: Final = 8192
"""Tokens, where a tokenizer knows no bound."""


class CrossEncoderPairs:
    """One loaded model, as a `PairEncoder`."""

    def __init__(self, model: "CrossEncoder") -> None:
        self._model = model
        self._tokenizer: Any = model.tokenizer
        # The name of the property has changed; older releases set it on the tokenizer alone.
        known = getattr(model, "max_seq_length", None) or self._tokenizer.model_max_length
        self._max_tokens = min(int(known), _LONGEST)

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def pair(self, question: str, text: str, longest_text: int | None) -> PairText:
        """What is too long is cut by the tokenizer, the longer of both first."""
        shown = text[: LONG_TOKEN * self._max_tokens]
        if longest_text is not None:
            shown = self._beginning(shown, longest_text)
        whole = self._tokenizer(question, shown, truncation=False, verbose=False)["input_ids"]
        length = min(len(whole), self._max_tokens)
        is_cut = len(whole) > length or len(shown) < len(text)
        return PairText(shown, whole[:length], question, is_cut)

    def encode(self, pairs: Sequence[PairText]) -> Vectors:
        from torch import nn  # noqa: PLC0415 - see above

        scores = self._model.predict(
            [(pair.question, pair.text) for pair in pairs],
            batch_size=len(pairs),
            show_progress_bar=False,
            activation_fn=nn.Identity(),
        )
        return np.asarray(scores, np.float32).reshape(-1, 1)

    def close(self) -> None:
        """Nothing to free but memory."""

    def _beginning(self, text: str, longest: int) -> str:
        encoded = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ends = [end for _, end in encoded["offset_mapping"]]
        return text if len(ends) <= longest else text[: ends[longest - 1]]


def open_cross_encoder(folder: Path) -> CrossEncoderPairs:
    """Load a model. Blocks. Raises ModelFileError."""
    try:
        from sentence_transformers import CrossEncoder  # noqa: PLC0415 - see above
    except ImportError as error:
        raise ModelFileError(
            "Reranking needs packages that are not installed; run `make embeddings` or"
            " `pip install 'llm_api[embeddings]'`."
        ) from error
    try:
        model: CrossEncoder = CrossEncoder(str(folder), local_files_only=True)
    except Exception as error:
        reason = shorten(str(error), 240, placeholder=" …") or type(error).__name__
        raise ModelFileError(f"{folder} cannot be read: {reason}") from error
    if model.num_labels != 1:
        raise ModelFileError(f"{folder} gives {model.num_labels} scores instead of one.")
    return CrossEncoderPairs(model)
