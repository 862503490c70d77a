"""Answers made of words, one token each: what the backends without a neural network share.

A word is a run of letters and digits, or one other sign, with the white space before it; white
space at the end is one more. So the words of a text add up to the text.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from typing import Final, assert_never

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import ModelCard, WithoutVocabulary
from llm_api.core.llm.capabilities import read_alone
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.output.machine import StopStrings
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    FillInPrompt,
    Finished,
    FinishReason,
    GenerationRequest,
    Prompt,
    Started,
    TextDelta,
    TextPrompt,
    TokenPrompt,
    Usage,
)

_WORD: Final = re.compile(r"\s*(?:\w+|[^\w\s])|\s+\Z")

DEFAULT_MAX_TOKENS: Final = 4096
"""A chain of words may have no end."""

TURN: Final = 16
"""Words after which an answer yields to the event loop."""


def split_words(text: str) -> list[str]:
    """The words of a text, in order. Pure."""
    return _WORD.findall(text)


def last_words(prompt: Prompt) -> str:
    """What was said last: a raw prompt's text, or a conversation's last turn of the user. Pure.

    Raises InvalidRequestError for token ids: words have none.
    """
    match prompt:
        case ChatPrompt(messages):
            users = (turn.content for turn in reversed(messages) if turn.role == "user")
            return next(users, "")
        case TextPrompt(text) | FillInPrompt(text=text):
            return text
        case TokenPrompt():
            raise InvalidRequestError("Words have no token ids; send text.", param="prompt")
        case other:
            assert_never(other)


def count_words(prompt: Prompt) -> int:
    """Words of a raw prompt, or of all turns of a conversation together. Pure."""
    if isinstance(prompt, ChatPrompt):
        return sum(len(split_words(message.content)) for message in prompt.messages)
    return len(split_words(last_words(prompt)))


class WordBackend(WithoutVocabulary):
    """A backend whose answers are made of words; `say` may say more than are asked for."""

    def __init__(self, card: ModelCard, say: Callable[[GenerationRequest], Iterable[str]]) -> None:
        self._card = card
        self._say = say

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """The events of an answer made of words, up to a stop string or `max_tokens`.

        A word is one token and, unless a stop string may begin in it, one delta.
        """
        self._card.capabilities.check(request)
        _, ignored = read_alone(request, lambda _name, _value: False)
        prompt_tokens = count_words(request.prompt)
        stops = StopStrings(request.stop)
        reason: FinishReason = "stop"
        has_stopped = False
        spoken = 0
        most = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
        yield Started(prompt_tokens, ignored=ignored)
        for word in self._say(request):
            if spoken == most:
                reason = "length"
                break
            spoken += 1
            shown, has_stopped = stops.feed(word)
            if shown:
                yield TextDelta(shown)
            if has_stopped:
                break
            if spoken % TURN == 0:
                await asyncio.sleep(0)
        if not has_stopped and (rest := stops.flush()):
            yield TextDelta(rest)
        yield Finished(reason, Usage(prompt_tokens, spoken), stop_string=stops.found)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(split_words(text)) for text in texts]

    def observe(self) -> Iterator[Observation]:
        return iter(())

    async def aclose(self) -> None:
        """Nothing to free."""
