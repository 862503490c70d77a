"""What was found goes into the prompt, as far as there is room, and the model begins."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

from llm_api.core.errors import ContextLengthExceededError
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import Event, GenerationRequest, GrammarFormat
from llm_api.core.rag.prompt import Context, CountTokens, build_context
from llm_api.core.rag.retrieve import Found
from llm_api.core.rag_chat.conversation import chat_prompt, with_context

UNKNOWN_CONTEXT_LENGTH = 8192
"""What a model is taken to hold whose backend has not told: any current one holds more."""

_TURN_TOKENS = 8  # what a chat template puts around a turn, about


@dataclass(frozen=True, slots=True)
class Talker:
    """A model, and how it counts. `count_tokens` is called on other threads."""

    backend: Backend
    count_tokens: CountTokens


@dataclass(frozen=True, slots=True)
class Admitted:
    """An answer that has begun. `events` are those after `started`: whoever has this closes them.

    Of what was found, the model was `given` these, `[1]` first, and had no room for `omitted`.
    """

    given: tuple[Found, ...]
    omitted: tuple[Found, ...]
    started: Event
    events: AsyncGenerator[Event, None]


@dataclass(frozen=True, slots=True)
class Grounding:
    """`found` for the question, best first, and the sources of `earlier` turns as numbered."""

    talker: Talker
    generation: GenerationRequest
    found: Sequence[Found]
    earlier: Sequence[Found]
    grammar: Callable[[int], str]

    async def admit(self) -> Admitted:
        """Begin the answer. Raises ContextLengthExceededError where not one source fits.

        Room is reckoned, as only the backend knows its template: where it says that the prompt is
        too long after all, the next try has a source less.
        """
        room = await asyncio.to_thread(self._room)
        while True:
            context = await asyncio.to_thread(self._context, room)
            if not context.sources:
                raise ContextLengthExceededError(
                    "The conversation leaves no room for a source beside the answer; shorten it,"
                    " or lower max_tokens.",
                    param="messages",
                )
            events = self.talker.backend.generate(self._grounded(context))
            try:
                started = await anext(events)
            except ContextLengthExceededError:
                room = context.tokens - 1
                continue
            known = {one.hit.chunk.id: one for one in (*self.earlier, *self.found)}
            given = tuple(known[hit.chunk.id] for hit in context.sources)
            omitted = tuple(known[hit.chunk.id] for hit in context.omitted)
            return Admitted(given, omitted, started, events)

    def _room(self) -> int:
        """Tokens that turns and answer leave. An answer reserves half the context at most."""
        length = self.talker.backend.card.context_length or UNKNOWN_CONTEXT_LENGTH
        turns = chat_prompt(self.generation.prompt).messages
        said = sum(self.talker.count_tokens(turn.content) + _TURN_TOKENS for turn in turns)
        return length - min(self.generation.max_tokens, length // 2) - said - _TURN_TOKENS

    def _context(self, room: int) -> Context:
        hits = [one.hit for one in self.found]
        earlier = [one.hit for one in self.earlier]
        return build_context(hits, earlier, room, self.talker.count_tokens)

    def _grounded(self, context: Context) -> GenerationRequest:
        grammar = GrammarFormat(self.grammar(len(context.sources)))
        return replace(
            self.generation,
            prompt=with_context(chat_prompt(self.generation.prompt), context.text),
            output_format=self.generation.output_format or grammar,
        )
