"""Whether lines that place chunks help a collection: searched without and with them, side by side.

    documents ─┬─► without lines ─┐
               └─► with lines  ───┴─► what each reaches on questions that it was not tuned on

Both lie in a store of their own while that is tried. Each is searched as tuning finds best for it
by the other questions: lines are not credited with what tuning brings by itself.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest
from llm_api.core.rag.contexts import PlacedDocument, WrittenTokens
from llm_api.core.rag.embed_documents import embedding_of
from llm_api.core.rag.evals import search_trials, usual_choice
from llm_api.core.rag.evaluation import Judgements
from llm_api.core.rag.retrieve import Retriever
from llm_api.core.rag.tuning import SURE, Figures, unseen_scores
from llm_api.core.rag.vector_store import NewDocument, VectorStore

OpenTrial: TypeAlias = Callable[[], AbstractAsyncContextManager[VectorStore]]
"""A store that is empty, and gone when it closes."""

_TOGETHER: Final = 64
"""Documents that are embedded and written at once."""


@dataclass(frozen=True, slots=True)
class ContextGain:
    """What the lines of `lines` chunks are worth, of `chunks` in all.

    `ndcg` and `before` are means over the questions, with and without lines; `gain` is their
    difference, `error` its standard error.
    """

    chunks: int
    lines: int
    questions: int
    ndcg: float
    before: float
    gain: float
    error: float
    tokens: WrittenTokens
    is_applied: bool = False

    @property
    def is_better(self) -> bool:
        """Whether the gain is more than chance."""
        return self.gain > SURE * self.error


@dataclass(frozen=True, slots=True, eq=False)
class TriedContexts:
    """nDCG by question, without and with lines; and the documents with lines, as they are stored.

    Their vectors are those of `model`.
    """

    before: Figures
    ndcg: Figures
    model: str
    placed: Sequence[NewDocument]

    def gain(self, tokens: WrittenTokens) -> ContextGain:
        """What the lines are worth, for which the model has read and written so many tokens."""
        gains = self.ndcg - self.before
        return ContextGain(
            chunks=sum(len(one.chunks) for one in self.placed),
            lines=sum(one.lines for one in self.placed),
            questions=len(gains),
            ndcg=float(self.ndcg.mean()),
            before=float(self.before.mean()),
            gain=float(gains.mean()),
            error=float(gains.std(ddof=1)) / math.sqrt(len(gains)),
            tokens=tokens,
        )


@dataclass(frozen=True, slots=True)
class ContextTrial:
    """Tries lines in a store of its own. Questions are by their ids, ten at least."""

    open_trial: OpenTrial
    embedder: Embedder
    score_threshold: float | None
    cutoff: int

    async def of(
        self,
        documents: Sequence[PlacedDocument],
        questions: Mapping[str, str],
        judgements: Judgements,
    ) -> TriedContexts:
        """Raises what embedder and store raise."""
        async with self.open_trial() as store:
            model = (await embedding_of(self.embedder)).model
            await self._stored(store, documents, with_lines=False)
            placed = await self._stored(store, documents, with_lines=True)
            retriever = Retriever(store, self.embedder, score_threshold=self.score_threshold)
            before, ndcg = [
                unseen_scores(
                    await search_trials(retriever, name, questions, judgements, self.cutoff),
                    usual_choice(retriever),
                )
                for name in map(_name, (False, True))
            ]
        return TriedContexts(before, ndcg, model, placed)

    async def _stored(
        self, store: VectorStore, documents: Sequence[PlacedDocument], *, with_lines: bool
    ) -> list[NewDocument]:
        name, embedding = _name(with_lines), await embedding_of(self.embedder)
        await store.create_collection(name, embedding)
        made: list[NewDocument] = []
        for start in range(0, len(documents), _TOGETHER):
            some = documents[start : start + _TOGETHER]
            passages = [one.passages(with_lines=with_lines) for one in some]
            texts = [text for part in passages for text in part]
            request = EmbeddingRequest(texts, input_type="document", truncates=True)
            vectors = iter((await self.embedder.embed(request)).vectors)
            new = [
                one.new([next(vectors) for _ in part], with_lines=with_lines)
                for one, part in zip(some, passages, strict=True)
            ]
            there = [replace(one, replaces=None) for one in new]  # in the collection, not here
            await store.replace_documents(name, embedding.model, there)
            made += new
        return made


def _name(with_lines: bool) -> str:
    return "with-lines" if with_lines else "without-lines"
