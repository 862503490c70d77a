"""Puts the sources that were found into the prompt, as far as there is room; the model begins."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llm_api.core.errors import ContextLengthExceededError
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import Event, GenerationRequest
from llm_api.core.rag.answering.conversation import chat_prompt, with_context
from llm_api.core.rag.answering.manner import Manner
from llm_api.core.rag.answering.prompt import (
    WIDEST_NUMBER,
    Context,
    Source,
    build_context,
    numbered,
    source_text,
)
from llm_api.core.rag.vector_store import Hit

UNKNOWN_CONTEXT_LENGTH: Final = 8192
"""The context length of a model whose backend has told none: any current one holds more."""

TURN_TOKENS: Final = 8
"""What a chat template puts around a turn, about."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An answer that has begun. `events` are those after `started`; the receiver closes them.

    Of what was found, the model was `given` these, `[1]` first, and had no room for `omitted`.
    """

    given: tuple[Hit, ...]
    omitted: tuple[Hit, ...]
    started: Event
    events: AsyncGenerator[Event, None]


@dataclass(frozen=True, slots=True)
class Grounding:
    """`found` for the question, best first, and the sources of `earlier` turns as numbered.

    `manner` says how the answer names them.
    """

    backend: Backend
    request: GenerationRequest
    manner: Manner
    found: Sequence[Hit]
    earlier: Sequence[Hit]

    async def admit(self) -> Admitted:
        """Begin the answer.

        Raises ContextLengthExceededError where not one source fits, and what
        `Manner.output_format` raises.

        Room is an estimate, as only the backend knows its template: where it says that the prompt
        is too long after all, the next try has a source less.
        """
        said, sources = await self._counted()
        found, earlier = sources[: len(self.found)], sources[len(self.found) :]
        room = self._room(said)
        while True:
            context = build_context(self.manner.instructions, found, earlier, room)
            if not context.sources:
                raise ContextLengthExceededError(
                    "The conversation leaves no room for a source beside the answer; shorten it,"
                    " or lower max_tokens.",
                    param="messages",
                )
            events = self.backend.generate(self._grounded(context))
            try:
                started = await anext(events)
            except ContextLengthExceededError:
                room = context.tokens - 1
                continue
            return Admitted(context.sources, context.omitted, started, events)

    async def _counted(self) -> tuple[int, list[Source]]:
        """The tokens of turns and instructions, and everything found with its tokens."""
        turns = [turn.content for turn in chat_prompt(self.request.prompt).messages]
        said, hits = [self.manner.instructions, *turns], [*self.found, *self.earlier]
        texts = [source_text(hit) for hit in hits]
        widest = [numbered(WIDEST_NUMBER, text) for text in texts]
        tokens = await self.backend.count_tokens([*said, *widest])
        counted = zip(hits, texts, tokens[len(said) :], strict=True)
        spent = sum(tokens[: len(said)]) + TURN_TOKENS * len(said)
        return spent, [Source(*source) for source in counted]

    def _room(self, said: int) -> int:
        """Tokens that sources may have. An answer reserves half the context at most."""
        length = self.backend.card.context_length or UNKNOWN_CONTEXT_LENGTH
        half = length // 2
        most = half if self.request.max_tokens is None else min(self.request.max_tokens, half)
        return length - most - said

    def _grounded(self, context: Context) -> GenerationRequest:
        return replace(
            self.request,
            prompt=with_context(chat_prompt(self.request.prompt), context.text),
            output_format=self.manner.output_format(
                self.request.output_format,
                self.backend.card,
                [hit.chunk for hit in context.sources],
            ),
        )
