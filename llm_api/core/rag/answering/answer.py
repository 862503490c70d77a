"""A question answered from documents, by a backend that looks them up first.

The question, rewritten where it needs that, is searched for; the sources go into the prompt, and a
model answers from them. Where nothing is found that is said, and no model is asked.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.errors import CollectionNotFoundError
from llm_api.core.llm.backend import Backend, BorrowingBackend
from llm_api.core.llm.collect import total_usage
from llm_api.core.llm.types import (
    Annotation,
    Event,
    Finished,
    GenerationRequest,
    Started,
    TextDelta,
    Usage,
)
from llm_api.core.rag.answering.citations import NOT_COVERED, CitationMode
from llm_api.core.rag.answering.citer import Citer, cited_events
from llm_api.core.rag.answering.conversation import RagConversation, chat_prompt, read_conversation
from llm_api.core.rag.answering.events import Sources, Supported
from llm_api.core.rag.answering.follow_up import refers_back
from llm_api.core.rag.answering.grounding import Admitted, Grounding
from llm_api.core.rag.answering.manner import Manner
from llm_api.core.rag.answering.prompt import in_order
from llm_api.core.rag.answering.quotes import QuoteReader, quoted_events
from llm_api.core.rag.answering.rewrite import rewrite
from llm_api.core.rag.filters import EVERYTHING, Filter
from llm_api.core.rag.retrieve import Retriever, SearchOptions, in_turn
from llm_api.core.rag.vector_store import Hit, VectorStore

MOST_NAMED = 20
"""Collections that are named where there is nothing to find in the one that was asked for."""

MAX_EARLIER = 8
"""Questions of a conversation whose sources are kept: the engine has no room for more anyway."""


@dataclass(frozen=True, slots=True)
class RagOptions:
    """How documents are searched for an answer, and how it is cited from them.

    With `collections`, each of these is searched, and `search.top_k` is what all of them give.
    `quotes` holds it to sentences of the sources, word by word. `verifies` says of each of its own
    whether they support it. `citations` None is "both", or "model" where the request asks for a
    format of its own.
    """

    search: SearchOptions
    verifies: bool = False
    citations: CitationMode | None = None
    quotes: bool = False
    collections: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the collections that are searched."""
        return tuple(dict.fromkeys(self.collections)) or (self.search.collection,)


class RagBackend(BorrowingBackend):
    """A backend whose model answers conversations from the documents that `retriever` finds.

    The answer is cited as the options say. Usage is that of all that the model did for it. `store`
    is the one that `retriever` searches.
    """

    def __init__(
        self,
        backend: Backend,
        retriever: Retriever,
        store: VectorStore,
        embedder: Embedder,
        options: RagOptions,
    ) -> None:
        super().__init__(backend)
        self._retriever = retriever
        self._store = store
        self._embedder = embedder
        self._options = options
        self._searches = [
            replace(options.search, truncates=True, collection=name) for name in options.names
        ]

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`, with an Annotation for each `RagNote`.

        Raises before `Started` also what retrieval raises, and what `Manner` refuses.
        """
        default: CitationMode = "both" if request.output_format is None else "model"
        mode = self._options.citations or default
        manner = Manner(mode, self._options.quotes)
        manner.check(request.output_format, self._backend.card)
        conversation = read_conversation(chat_prompt(request.prompt).messages)
        question, spent = await self._standalone(conversation, request)
        found = await self._search(question)
        if not found:
            for event in _said(await self._nothing_found(), question, spent):
                yield event
            return
        earlier = await self._earlier(conversation)
        admitted = await Grounding(self._backend, request, manner, found, earlier).admit()
        async with aclosing(admitted.events):
            yield admitted.started
            yield Annotation(Sources(question, admitted.given, admitted.omitted))
            annotated = self._annotated(admitted, manner, question, spent)
            async with aclosing(annotated) as events:
                async for event in events:
                    yield event

    async def _standalone(
        self, conversation: RagConversation, request: GenerationRequest
    ) -> tuple[str, list[Finished]]:
        """The question to search for, and what the model took to find it."""
        question = conversation.question
        if not conversation.earlier or not refers_back(question):
            return question, []
        question, finished = await rewrite(self._backend, conversation.history, question, request)
        return question, [finished] if finished else []

    async def _search(self, question: str) -> list[Hit]:
        """Raises as `_search_one`."""
        rankings = await asyncio.gather(
            *(self._search_one(question, how) for how in self._searches)
        )
        if len(rankings) == 1:
            return rankings[0]
        return in_turn(rankings)[: self._options.search.top_k]

    async def _search_one(self, question: str, options: SearchOptions) -> list[Hit]:
        """Raises CollectionNotFoundError that names the collections that there are."""
        try:
            return await self._retriever.search(question, options)
        except CollectionNotFoundError as error:
            others = await self._others()
            raise CollectionNotFoundError(
                f"There is no collection {options.collection!r}. {others}", param=error.param
            ) from error

    async def _nothing_found(self) -> str:
        """Why there is no answer: no document covers the question, or there is none."""
        names, wanted = self._options.names, self._options.search.filter
        named = ", ".join(map(repr, names))
        several = len(names) > 1
        if not await self._has_documents(EVERYTHING):
            others = await self._others()
            what = f"The collections {named} are" if several else f"The collection {named} is"
            return f"{what} empty: no document is stored in {'them' if several else 'it'}. {others}"
        if not await self._has_documents(wanted):
            what = f"collections {named}" if several else f"collection {named}"
            return f"No document of the {what} matches the filter."
        return NOT_COVERED

    async def _has_documents(self, wanted: Filter) -> bool:
        """Whether one of the collections has any that match."""
        described = [
            await self._store.describe_collection(name, wanted) for name in self._options.names
        ]
        return any(one.documents != 0 for one in described)

    async def _others(self) -> str:
        """A sentence that names the collections with documents."""
        filled = [one.name for one in await self._store.list_collections() if one.documents != 0]
        if not filled:
            return "No collection has documents yet."
        names = ", ".join(map(repr, filled[:MOST_NAMED]))
        more = f", and {len(filled) - MOST_NAMED} more" if len(filled) > MOST_NAMED else ""
        return f"Collections with documents: {names}{more}."

    async def _earlier(self, conversation: RagConversation) -> tuple[Hit, ...]:
        """The sources of earlier turns, found again: so they are as the documents are now.

        Those of questions that had to be rewritten are not.
        """
        earlier = conversation.earlier
        asked = earlier[:1] + [one for one in earlier[1:] if not refers_back(one)]
        turns = await asyncio.gather(*(self._search(one) for one in asked[:MAX_EARLIER]))
        return in_order(turns)

    async def _annotated(
        self, admitted: Admitted, manner: Manner, question: str, spent: Sequence[Finished]
    ) -> AsyncGenerator[Event, None]:
        """The events, with a `Citation` for each sentence, and `Supported` before the end."""
        sources = [hit.chunk for hit in admitted.given]
        verifies = self._options.verifies
        citer: Citer | QuoteReader
        if manner.quotes:
            citer = QuoteReader(sources)
            cited = quoted_events(admitted.events, citer)
        else:
            citer = Citer(
                sources, self._embedder, manner.mode, verifies=verifies, question=question
            )
            cited = cited_events(admitted.events, citer)
        async with aclosing(cited) as events:
            async for event in events:
                if not isinstance(event, Finished):
                    yield event
                    continue
                if verifies:
                    yield Annotation(Supported(tuple(citer.support)))
                yield replace(event, usage=total_usage([*spent, event]))


def _said(text: str, question: str, spent: Sequence[Finished]) -> Iterator[Event]:
    """An answer that no model has given."""
    yield Started(0)
    yield Annotation(Sources(question))
    yield TextDelta(text)
    yield Finished("stop", total_usage(spent) if spent else Usage(0, 0))
