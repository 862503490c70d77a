"""What was found goes into the prompt, as far as there is room, and the model begins."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llm_api.core.errors import ContextLengthExceededError
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import Event, GenerationRequest, GrammarFormat, OutputFormat
from llm_api.core.rag.answering.citations import citation_grammar
from llm_api.core.rag.answering.conversation import chat_prompt, with_context
from llm_api.core.rag.answering.prompt import Context, build_context, counted_texts
from llm_api.core.rag.retrieve import Found

UNKNOWN_CONTEXT_LENGTH: Final = 8192
"""What a model is taken to hold whose backend has not told: any current one holds more."""

_TURN_TOKENS: Final = 8  # what a chat template puts around a turn, about


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

    backend: Backend
    request: GenerationRequest
    found: Sequence[Found]
    earlier: Sequence[Found]

    async def admit(self) -> Admitted:
        """Begin the answer. Raises ContextLengthExceededError where not one source fits.

        Room is reckoned, as only the backend knows its template: where it says that the prompt is
        too long after all, the next try has a source less.
        """
        costs = await self._costs()
        room = self._room(costs)
        while True:
            context = self._context(room, costs)
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
            known = {one.hit.chunk.id: one for one in (*self.earlier, *self.found)}
            given = tuple(known[hit.chunk.id] for hit in context.sources)
            omitted = tuple(known[hit.chunk.id] for hit in context.omitted)
            return Admitted(given, omitted, started, events)

    async def _costs(self) -> Mapping[str, int]:
        """The tokens of every text that may get into the prompt."""
        turns = chat_prompt(self.request.prompt).messages
        sources = counted_texts(one.hit for one in (*self.found, *self.earlier))
        texts = [*(turn.content for turn in turns), *sources]
        return dict(zip(texts, await self.backend.count_tokens(texts), strict=True))

    def _room(self, costs: Mapping[str, int]) -> int:
        """Tokens that turns and answer leave. An answer reserves half the context at most."""
        length = self.backend.card.context_length or UNKNOWN_CONTEXT_LENGTH
        turns = chat_prompt(self.request.prompt).messages
        said = sum(costs[turn.content] + _TURN_TOKENS for turn in turns)
        return length - min(self.request.max_tokens, length // 2) - said - _TURN_TOKENS

    def _context(self, room: int, costs: Mapping[str, int]) -> Context:
        hits = [one.hit for one in self.found]
        earlier = [one.hit for one in self.earlier]
        return build_context(hits, earlier, room, costs.__getitem__)

    def _grounded(self, context: Context) -> GenerationRequest:
        return replace(
            self.request,
            prompt=with_context(chat_prompt(self.request.prompt), context.text),
            output_format=self.request.output_format or self._markers(len(context.sources)),
        )

    def _markers(self, sources: int) -> OutputFormat | None:
        """What makes an invented marker impossible, where the backend can follow a grammar."""
        can_follow = "grammar" in self.backend.card.capabilities.abilities
        return GrammarFormat(citation_grammar(sources)) if can_follow else None
