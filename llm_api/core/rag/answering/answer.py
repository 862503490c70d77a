"""A question answered from documents, by a backend that looks them up first.

The question, rewritten where it needs that, is searched for; the sources go into the prompt, and a
model answers from them. Where nothing is found that is said, and no model is asked.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from llm_api.core.embeddings.embedder import Embedder
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
from llm_api.core.rag.answering.citations import CitationCursor
from llm_api.core.rag.answering.conversation import RagConversation, chat_prompt, read_conversation
from llm_api.core.rag.answering.events import Sources, Supported
from llm_api.core.rag.answering.follow_up import refers_back
from llm_api.core.rag.answering.grounding import Admitted, Grounding
from llm_api.core.rag.answering.prompt import in_order
from llm_api.core.rag.answering.rewrite import rewrite
from llm_api.core.rag.answering.support import verify
from llm_api.core.rag.retrieve import Retriever, SearchOptions
from llm_api.core.rag.vector_store import Hit

NOT_COVERED: Final = "The documents do not cover this question."

MAX_EARLIER = 8
"""Questions of a conversation whose sources are kept: the engine has no room for more anyway."""


@dataclass(frozen=True, slots=True)
class RagOptions:
    """How documents are searched for an answer, and whether its sentences are verified."""

    search: SearchOptions
    verifies: bool = False


class RagBackend(BorrowingBackend):
    """A backend whose model answers conversations from the documents that `retriever` finds.

    The answer has markers, unless the request asks for a format of its own. Usage is that of all
    that the model did for it.
    """

    def __init__(
        self, backend: Backend, retriever: Retriever, embedder: Embedder, options: RagOptions
    ) -> None:
        super().__init__(backend)
        self._retriever = retriever
        self._embedder = embedder
        self._search_options = replace(options.search, truncates=True)
        self._verifies = options.verifies

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`, with an Annotation for each `RagNote`.

        Raises before `Started` also what retrieval raises.
        """
        conversation = read_conversation(chat_prompt(request.prompt).messages)
        question, spent = await self._standalone(conversation, request)
        found = await self._search(question)
        if not found:
            for event in _not_covered(question, spent):
                yield event
            return
        earlier = await self._earlier(conversation)
        admitted = await Grounding(self._backend, request, found, earlier).admit()
        async with aclosing(admitted.events):
            yield admitted.started
            yield Annotation(Sources(question, admitted.given, admitted.omitted))
            async for event in self._annotated(admitted, spent):
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
        return await self._retriever.search(question, self._search_options)

    async def _earlier(self, conversation: RagConversation) -> tuple[Hit, ...]:
        """The sources of earlier turns, found again: so they are as the documents are now.

        Those of questions that had to be rewritten are not.
        """
        earlier = conversation.earlier
        asked = earlier[:1] + [one for one in earlier[1:] if not refers_back(one)]
        turns = await asyncio.gather(*(self._search(one) for one in asked[:MAX_EARLIER]))
        return in_order(turns)

    async def _annotated(
        self, admitted: Admitted, spent: Sequence[Finished]
    ) -> AsyncGenerator[Event, None]:
        """The events, with a `Citation` behind each marker, and `Supported` before the end."""
        sources = [hit.chunk for hit in admitted.given]
        cursor = CitationCursor(sources)
        async for event in admitted.events:
            match event:
                case Finished():
                    if self._verifies:
                        verdicts = await verify(self._embedder, cursor.text, sources)
                        yield Annotation(Supported(tuple(verdicts)))
                    yield replace(event, usage=total_usage([*spent, event]))
                case TextDelta(delta):
                    yield event
                    if cursor.add(delta):
                        for citation in await asyncio.to_thread(cursor.found):
                            yield Annotation(citation)
                case _:
                    yield event


def _not_covered(question: str, spent: Sequence[Finished]) -> Iterator[Event]:
    yield Started(0)
    yield Annotation(Sources(question))
    yield TextDelta(NOT_COVERED)
    yield Finished("stop", total_usage(spent) if spent else Usage(0, 0))
