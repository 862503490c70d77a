"""Scores by a model that reads question and text together. The door of its library.

The library is imported when the first question is asked, never before: that takes seconds.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Protocol

from llm_api.core.errors import (
    EmbeddingError,
    LLMAPIError,
    ModelFileError,
    UnavailableError,
    without_folders,
)
from llm_api.core.utils.work_threads import RunOnThread

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

log = logging.getLogger(__name__)

BATCH = 8
"""Pairs computed at once: a CPU gains nothing from more, and padding costs."""


class Reranker(Protocol):
    """Judges texts that were found for a question."""

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        """A score for each text, the higher the better it answers.

        Raises UnavailableError or EmbeddingError.
        """
        ...


class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers, opened by its first question.

    `find_folder` finds the model, or fetches it, and may block. A pair that is longer than the
    model reads is cut at the end of the text.
    """

    def __init__(self, find_folder: Callable[[], Path], run: RunOnThread) -> None:
        self._find_folder = find_folder
        self._run = run
        self._model: CrossEncoder | None = None

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        return await self._run(partial(self._scores, question, texts))

    def _scores(self, question: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        model = self._opened()
        try:
            pairs = [(question, text) for text in texts]
            scores = model.predict(pairs, batch_size=BATCH, show_progress_bar=False)
            return [float(score) for score in scores]
        except Exception as error:
            raise EmbeddingError("The reranking model failed on these texts.") from error

    def _opened(self) -> "CrossEncoder":
        if self._model is None:
            try:
                self._model = _load(self._find_folder())
            except LLMAPIError as error:
                log.warning("the reranking model could not be loaded: %s", error.message)
                message = (
                    f"The reranking model could not be loaded: {without_folders(error.message)}"
                )
                raise UnavailableError(message) from error
        return self._model


def _load(folder: Path) -> "CrossEncoder":
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
    return model
