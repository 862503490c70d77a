"""The echo: says what the user said last. For tests, for load tests, and as the last fallback.

It is no language model and never poses as one. An answer has one candidate for each token, so
temperature, filters and seed are honoured by changing nothing, as a bound on its thoughts is; what
would change the answer is refused.
"""

from dataclasses import replace
from typing import Final

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.words import WordBackend, last_words, split_words
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.types import GenerationRequest

STUB_CAPABILITIES: Final = Capabilities(
    frozenset({"chat", "text", "reasoning_budget"}),
    sampling=frozenset({"temperature", "top_p", "top_k", "min_p", "typical_p", "seed"}),
)


def _echo(request: GenerationRequest) -> list[str]:
    """The last turn of the user, or the text to continue."""
    return split_words(last_words(request.prompt))


async def open_stub(card: ModelCard) -> WordBackend:
    """A stub under this card's name. It has no context to fill: any prompt fits."""
    card = replace(card, context_length=None, backend="stub", capabilities=STUB_CAPABILITIES)
    return WordBackend(card, _echo)
