"""Texts judged by how well they answer a question, by a model that reads both together.

The model is opened by its first question. All that is asked at the same moment shares batches, as
texts to embed do: a judgement is a vector of length 1.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from llm_api.core.embeddings.embedder import EmbedderCard, Vectors
from llm_api.core.embeddings.encoder import EncoderText, Pause
from llm_api.core.embeddings.micro_batcher import MicroBatcher
from llm_api.core.errors import (
    ContextLengthExceededError,
    LLMAPIError,
    UnavailableError,
    without_folders,
)
from llm_api.core.utils.tokens import TokenMeter
from llm_api.core.utils.work_threads import RunOnThread

log = logging.getLogger(__name__)

LONG_TOKEN: Final = 16
"""Characters that tokens seldom have on average: what is longer than a model reads is cut there."""

_PREPARED_AT_ONCE: Final = 16
"""Texts, so that others who compute on the thread wait for milliseconds."""

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairText(EncoderText):
    """A text with its question: `ids` are those of both, with the special tokens around them."""

    question: str
    is_cut: bool


class PairEncoder(Protocol):
    """One loaded model. Every call comes from one thread, and blocks."""

    @property
    def max_tokens(self) -> int:
        """Of question and text together."""
        ...

    def pair(self, question: str, text: str, longest_text: int | None) -> PairText:
        """Both as the model reads them; the text has at most `longest_text` tokens."""
        ...

    def encode(self, pairs: Sequence[PairText]) -> Vectors:
        """One row of one number each: a logarithm of odds, the higher the better."""
        ...

    def close(self) -> None:
        """Free the model. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """Texts to judge. A text is cut after `longest_text` tokens, and where the model ends.

    Without `truncates`, one that would be cut is refused. `meter` is told of what was computed.
    """

    question: str
    texts: Sequence[str]
    longest_text: int | None = None
    truncates: bool = True
    meter: TokenMeter = field(default_factory=TokenMeter, compare=False)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A score for each text: `raw` has no bounds, `relevance` is from 0 to 1.

    `truncated` are the positions of texts that were cut.
    """

    raw: Scores
    relevance: Scores
    tokens: int
    truncated: tuple[int, ...] = ()


class Reranker(Protocol):
    """Judges texts with one model."""

    @property
    def card(self) -> EmbedderCard: ...

    async def judge(self, request: RerankRequest) -> Judgement:
        """A score for each text.

        Raises ContextLengthExceededError, UnavailableError, OverloadedError or EmbeddingError.
        Cancelling drops what is not computed yet.
        """
        ...


class LocalReranker:
    """A model of this machine. Lives on one event loop.

    `open_encoder` finds the model, or fetches it, and may block. It is called on the thread that
    `run` stands for, again where it has failed.
    """

    def __init__(
        self,
        card: EmbedderCard,
        open_encoder: Callable[[], PairEncoder],
        run: RunOnThread,
        batch_tokens: int,
    ) -> None:
        self._card = card
        self._open = open_encoder
        self._run = run
        self._batch_tokens = batch_tokens
        self._encoder: PairEncoder | None = None
        self._batcher: MicroBatcher | None = None

    @property
    def card(self) -> EmbedderCard:
        return self._card

    async def judge(self, request: RerankRequest) -> Judgement:
        if not request.texts:
            return Judgement(np.zeros(0), np.zeros(0), 0)
        pairs: list[PairText] = []
        for start in range(0, len(request.texts), _PREPARED_AT_ONCE):
            texts = request.texts[start : start + _PREPARED_AT_ONCE]
            pairs += await self._run(partial(self._pairs, request, texts))
        cut = tuple(position for position, pair in enumerate(pairs) if pair.is_cut)
        if cut and not request.truncates:
            raise _too_long(cut[0])
        if self._batcher is None:
            self._batcher = MicroBatcher(self._encode, self._run, self._batch_tokens)
        vectors = await self._batcher.encode(pairs, None, request.meter)
        raw = vectors[:, 0].astype(np.float64)
        return Judgement(raw, sigmoid(raw), sum(len(pair.ids) for pair in pairs), cut)

    async def aclose(self) -> None:
        if self._batcher is not None:
            await self._batcher.aclose()
        if self._encoder is not None:
            await self._run(self._encoder.close)

    def _pairs(self, request: RerankRequest, texts: Sequence[str]) -> list[PairText]:
        encoder = self._opened()
        return [encoder.pair(request.question, text, request.longest_text) for text in texts]

    def _encode(self, texts: Sequence[EncoderText], _adapter: str | None, _pause: Pause) -> Vectors:
        return self._opened().encode([text for text in texts if isinstance(text, PairText)])

    def _opened(self) -> PairEncoder:
        if self._encoder is None:
            try:
                self._encoder = self._open()
            except LLMAPIError as error:
                log.warning("the reranking model could not be loaded: %s", error.message)
                message = (
                    f"The reranking model could not be loaded: {without_folders(error.message)}"
                )
                raise UnavailableError(message) from error
        return self._encoder


def sigmoid(raw: Scores) -> Scores:
    """Probabilities of logarithms of odds, without overflow. Pure."""
    small = np.exp(-np.abs(raw))
    probabilities: Scores = np.where(raw >= 0, 1, small) / (1 + small)
    return probabilities


def _too_long(position: int) -> ContextLengthExceededError:
    return ContextLengthExceededError(
        f"texts[{position}] is longer than the reranking model reads together with the query;"
        " shorten it, or send 'truncate': true.",
        param=f"texts[{position}]",
    )
