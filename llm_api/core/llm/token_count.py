"""How many tokens texts cost a model: counted where the backend can, else estimated."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from llm_api.core.llm.backend import Backend
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
