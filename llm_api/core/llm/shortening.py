"""A backend that leaves out the oldest turns of a conversation that is too long for the context.

Whole turns, an assistant's calls with their results; never a system turn, and never the last one.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from llm_api.core.errors import ContextLengthExceededError
from llm_api.core.llm.backend import BorrowingBackend
from llm_api.core.llm.types import Annotation, ChatPrompt, Event, GenerationRequest, Message

TURN_TOKENS: Final = 8
"""What a template may write around one turn: an estimate, as all that is done with it."""

ANSWER_SHARE: Final = 4
"""An answer is left at least this part of the context, if it may be as long."""

RETRY_SHARE: Final = 16
"""Where the estimate was too low, so much of the context more is left out, again and again."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """The turns that were left out, by their positions in the prompt."""

    turns: tuple[int, ...]


class ShorteningBackend(BorrowingBackend):
    """As its backend, but a conversation fits that would not."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`; after `Started` it tells what was left out, if anything was."""
        if not isinstance(request.prompt, ChatPrompt):
            raise TypeError("turns are those of conversations")
        turns = request.prompt.messages
        costs = await self._costs(turns)
        dropped = self._at_first(request, turns, costs)
        while True:
            has_started = False
            shorter = replace(request, prompt=_without(request.prompt, dropped))
            try:
                async with aclosing(self._backend.generate(shorter)) as events:
                    async for event in events:
                        yield event
                        if not has_started and dropped:
                            yield Annotation(Shortened(tuple(sorted(dropped))))
                        has_started = True
                return
            except ContextLengthExceededError:
                more = self._more(turns, costs, dropped)
                if has_started or len(more) == len(dropped):
                    raise
                dropped = more

    async def _costs(self, turns: Sequence[Message]) -> list[int]:
        """About the tokens of each turn."""
        texts = [
            turn.content + "".join(call.arguments for call in turn.tool_calls) for turn in turns
        ]
        return [tokens + TURN_TOKENS for tokens in await self.count_tokens(texts)]

    def _at_first(
        self, request: GenerationRequest, turns: Sequence[Message], costs: Sequence[int]
    ) -> frozenset[int]:
        length = self.card.context_length
        if length is None:
            return frozenset()
        share = length // ANSWER_SHARE
        most = share if request.max_tokens is None else min(request.max_tokens, share)
        room = length - most
        return _dropped(turns, costs, (), sum(costs) - room)

    def _more(
        self, turns: Sequence[Message], costs: Sequence[int], dropped: Collection[int]
    ) -> frozenset[int]:
        length = self.card.context_length or sum(costs)
        return _dropped(turns, costs, dropped, length // RETRY_SHARE)


def _dropped(
    turns: Sequence[Message], costs: Sequence[int], dropped: Collection[int], tokens: int
) -> frozenset[int]:
    """`dropped`, and the oldest other turns that have so many tokens together. Pure."""
    gone = set(dropped)
    for group in droppable(turns):
        if tokens <= 0:
            break
        if group[0] in gone:
            continue
        gone.update(group)
        tokens -= sum(costs[index] for index in group)
    return frozenset(gone)


def droppable(turns: Sequence[Message]) -> list[list[int]]:
    """Positions of turns that may go, oldest first, together where they must. Pure."""
    groups: list[list[int]] = []
    for index, turn in enumerate(turns):
        if turn.role == "tool" and groups:
            groups[-1].append(index)
        elif turn.role != "system":
            groups.append([index])
    return groups[:-1]


def _without(prompt: ChatPrompt, dropped: Collection[int]) -> ChatPrompt:
    kept = (turn for index, turn in enumerate(prompt.messages) if index not in dropped)
    return replace(prompt, messages=tuple(kept))
