"""How many tokens texts cost a model: counted where the backend can, else estimated."""

from collections.abc import Sequence
from typing import Protocol, assert_never, runtime_checkable

from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import (
    Annotation,
    Event,
    Finished,
    FunctionExecuted,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from llm_api.core.utils.token_estimate import estimate_tokens


@runtime_checkable
class CountsTokens(Protocol):
    """A backend that knows its model's vocabulary."""

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text by itself. Raises UnavailableError."""
        ...


async def count_tokens(backend: Backend, texts: Sequence[str]) -> list[int]:
    if isinstance(backend, CountsTokens):
        return await backend.count_tokens(texts)
    return [estimate_tokens(text) for text in texts]


def used_after(event: Event, used: int) -> int:
    """The tokens of an answer as far as its events tell. Pure."""
    match event:
        case Started(prompt_tokens):
            return prompt_tokens or 0
        case TextDelta() | ReasoningDelta() | ToolCallStarted() | ToolCallDelta():
            return used + 1
        case FunctionExecuted() | Annotation():
            return used
        case Finished(usage=usage):
            return usage.prompt_tokens + usage.completion_tokens
        case other:
            assert_never(other)
