"""Lines for the chunks of one collection: written block by block, tried, and kept where they help.

Of a document, `BLOCK` chunks at a time, so that little is lost by a kill; all blocks of a document
are next to each other, so that the model's prefix of it is still there.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Final, TypeAlias

from pydantic import TypeAdapter

from llm_api.core.errors import DocumentNotFoundError, InvalidRequestError
from llm_api.core.rag.context_trial import ContextGain, ContextTrial, OpenTrial, TriedContexts
from llm_api.core.rag.contexts import PlacedDocument, WrittenLine, WrittenTokens
from llm_api.core.rag.embed_documents import embedding_of
from llm_api.core.rag.eval_jobs import BLOCK
from llm_api.core.rag.evaluation import Judgements
from llm_api.core.rag.identity import content_hash
from llm_api.core.rag.prepare import base_hash
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.tuning import LEAST_QUESTIONS
from llm_api.core.rag.types import Chunk, Document
from llm_api.core.utils.long_work import in_slices, to_the_end

Place: TypeAlias = Callable[[Document, Chunk], Awaitable[WrittenLine | None]]
"""A line that places the chunk in the document; None where there is none."""

_TOGETHER: Final = 32
"""Documents that are written at once."""


@dataclass(frozen=True, slots=True)
class WrittenBlock:
    """The lines of some chunks of a document by position, and what they took."""

    id: str
    stored_hash: str
    lines: Mapping[int, str]
    tokens: WrittenTokens


BLOCKS: Final = TypeAdapter(WrittenBlock)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A document as it is stored under this hash, cut as it is stored."""

    document: Document
    stored_hash: str
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """What was tried, and what it is worth."""

    contexts: TriedContexts
    gain: ContextGain


@dataclass(slots=True)
class ContextJob:
    """Works with the rights of `retrieval`."""

    retrieval: Retrieval
    collection: str
    place: Place
    open_trial: OpenTrial
    cutoff: int
    _last: _Cut | None = field(default=None, init=False)

    def check(self, questions: Mapping[str, str]) -> None:
        """Raises InvalidRequestError where so few questions say nothing."""
        if len(questions) < LEAST_QUESTIONS:
            raise InvalidRequestError(
                f"To try lines takes {LEAST_QUESTIONS} different questions, here are"
                f" {len(questions)}.",
                param="questions",
            )

    async def written(self, document_id: str, details: str) -> WrittenBlock | None:
        """The lines of a block; None where the document is another by now.

        A document that is one chunk gets none: there is nothing to place it in.
        """
        block = json.loads(details)
        cut = await self._cut(document_id, block["stored_hash"])
        if cut is None:
            return None
        lines: dict[int, str] = {}
        tokens, first = WrittenTokens(), block["first"]
        some = cut.chunks[first : first + BLOCK] if len(cut.chunks) > 1 else ()
        for chunk in some:
            if (line := await self.place(cut.document, chunk)) is not None:
                tokens += line.tokens
                lines |= {chunk.position: line.text} if line.text else {}
        return WrittenBlock(document_id, cut.stored_hash, lines, tokens)

    async def tried(
        self,
        blocks: Sequence[WrittenBlock],
        questions: Mapping[str, str],
        judgements: Judgements,
    ) -> Tried:
        """Raises InvalidRequestError where no chunk has a line."""
        placed = [one async for one in self._placed(blocks)]
        if not any(one.lines for one in placed):
            raise InvalidRequestError(
                "There is no line to try: no document has several chunks and is as it was, or the"
                " model has written nothing.",
                param="contexts",
            )
        threshold = self.retrieval.retriever.default_threshold
        trial = ContextTrial(self.open_trial, self.retrieval.embedder, threshold, self.cutoff)
        tried = await trial.of(placed, questions, judgements)
        tokens = reduce(add, (one.tokens for one in blocks), WrittenTokens())
        return Tried(tried, tried.gain(tokens))

    async def apply(self, tried: Tried) -> None:
        """Have the documents found by their lines as well, those that are still the same."""
        placed = [one for one in tried.contexts.placed if one.lines]
        for start in range(0, len(placed), _TOGETHER):
            some = placed[start : start + _TOGETHER]
            store = self.retrieval.store
            await to_the_end(store.replace_documents(self.collection, tried.contexts.model, some))

    async def _placed(self, blocks: Sequence[WrittenBlock]) -> AsyncIterator[PlacedDocument]:
        lines: dict[tuple[str, str], dict[int, str]] = {}
        for block in blocks:
            lines.setdefault((block.id, block.stored_hash), {}).update(block.lines)
        for place, numbered in lines.items():
            if (cut := await self._cut(*place)) is not None:
                yield PlacedDocument(cut.document, cut.stored_hash, cut.chunks, numbered)

    async def _cut(self, document_id: str, stored_hash: str) -> _Cut | None:
        """None where it is gone, is another by now, or is cut by other rules than here."""
        last = self._last
        if last is not None and (last.document.id, last.stored_hash) == (document_id, stored_hash):
            return last
        try:
            document = await self.retrieval.store.read_document(self.collection, document_id)
        except DocumentNotFoundError:
            return None
        chunking = await self.retrieval.chunking()
        model = (await embedding_of(self.retrieval.embedder)).model
        steps = await in_slices(_hashed(document, chunking.settings, model), chunking.turns)
        if steps[-1] != base_hash(stored_hash):
            return None
        chunks = await in_slices(chunking.split(document), chunking.turns)
        self._last = _Cut(document, stored_hash, chunks)
        return self._last


def _hashed(document: Document, settings: str, model: str) -> Iterator[str | None]:
    yield (yield from content_hash(document, settings, model))
