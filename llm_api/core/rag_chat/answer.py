"""A question answered from documents, as one stream of events.

The question, rewritten where it needs that, is searched for; the sources go into the prompt, and a
model answers from them. Where nothing is found that is said, and no model is asked.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from llm_api.core.llm.collect import total_usage
from llm_api.core.llm.types import (
    Finished,
    GenerationRequest,
    Started,
    TextDelta,
    Usage,
)
from llm_api.core.rag.prompt import in_order
from llm_api.core.rag.retrieve import Found, Retriever, SearchOptions
from llm_api.core.rag.types import Chunk
from llm_api.core.rag_chat.conversation import (
    Conversation,
    chat_prompt,
    read_conversation,
)
from llm_api.core.rag_chat.events import Citation, Cited, RagEvent, Sources, Supported
from llm_api.core.rag_chat.follow_up import refers_back
from llm_api.core.rag_chat.grounding import Admitted, Grounding, Talker
from llm_api.core.rag_chat.rewrite import rewrite
from llm_api.core.rag_chat.verify import Verify

NOT_COVERED: Final = "The documents do not cover this question."

MAX_EARLIER = 8
"""Questions of a conversation whose sources are kept: the engine has no room for more anyway."""


@dataclass(frozen=True, slots=True)
class RagRequest:
    """A conversation, whose last question is answered from documents.

    The answer has markers, unless `generation` asks for a format of its own. `verify` asks for a
    `Supported`.
    """

    generation: GenerationRequest
    search: SearchOptions
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Citing:
    """`grammar` of an answer with markers `[1]` to `[n]`; the citations that a text has so far."""

    grammar: Callable[[int], str]
    find: Callable[[str, Sequence[Chunk]], Sequence[Citation]]


class RagChat:
    """Answers from the collections that `retriever` searches."""

    def __init__(self, retriever: Retriever, citing: Citing, verify: Verify) -> None:
        self._retriever = retriever
        self._citing = citing
        self._verify = verify

    async def answer(self, talker: Talker, request: RagRequest) -> AsyncGenerator[RagEvent, None]:
        """See `RagEvent`. Usage is that of all that models did for it.

        Raises before `Sources` what the caller has to change, or what retrieval and backend raise.
        """
        request = replace(request, search=replace(request.search, truncates=True))
        conversation = read_conversation(chat_prompt(request.generation.prompt).messages)
        question, spent = await _standalone(talker, conversation, request)
        found = await self._search(question, request)
        if not found:
            for event in _not_covered(question, spent):
                yield event
            return
        earlier = await self._earlier(conversation, request)
        grounding = Grounding(talker, request.generation, found, earlier, self._citing.grammar)
        admitted = await grounding.admit()
        async with aclosing(admitted.events):
            yield Sources(question, admitted.given, admitted.omitted)
            yield admitted.started
            async for event in self._annotated(admitted, spent, verifies=request.verify):
                yield event

    async def _search(self, question: str, request: RagRequest) -> list[Found]:
        return await self._retriever.search(question, request.search, request.generation.scope)

    async def _earlier(self, conversation: Conversation, request: RagRequest) -> list[Found]:
        """The sources of earlier turns, found again: so they are as the documents are now.

        Those of questions that had to be rewritten are not.
        """
        earlier = conversation.earlier
        asked = earlier[:1] + [one for one in earlier[1:] if not refers_back(one)]
        turns = await asyncio.gather(*(self._search(one, request) for one in asked[:MAX_EARLIER]))
        known = {one.hit.chunk.id: one for found in turns for one in found}
        ordered = in_order([one.hit for one in found] for found in turns)
        return [known[hit.chunk.id] for hit in ordered]

    async def _annotated(
        self, admitted: Admitted, spent: Sequence[Finished], *, verifies: bool
    ) -> AsyncGenerator[RagEvent, None]:
        """The events, with a `Cited` behind each marker, and `Supported` before the end."""
        sources = [one.hit.chunk for one in admitted.given]
        text, cited = "", 0
        async for event in admitted.events:
            match event:
                case Finished():
                    if verifies:
                        yield Supported(tuple(await self._verify(text, sources)))
                    yield replace(event, usage=total_usage([*spent, event]))
                case TextDelta(delta):
                    yield event
                    text += delta
                    if "]" in delta:
                        citations = await asyncio.to_thread(self._citing.find, text, sources)
                        for citation in citations[cited:]:
                            yield Cited(citation)
                        cited = len(citations)
                case _:
                    yield event


async def _standalone(
    talker: Talker, conversation: Conversation, request: RagRequest
) -> tuple[str, list[Finished]]:
    """The question to search for, and what a model took to find it."""
    question = conversation.question
    if not conversation.earlier or not refers_back(question):
        return question, []
    question, finished = await rewrite(
        talker.backend, conversation.history, question, request.generation
    )
    return question, [finished] if finished else []


def _not_covered(question: str, spent: Sequence[Finished]) -> Iterator[RagEvent]:
    yield Sources(question)
    yield Started(0)
    yield TextDelta(NOT_COVERED)
    yield Finished("stop", total_usage(spent) if spent else Usage(0, 0))
