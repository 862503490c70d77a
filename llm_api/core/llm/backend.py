"""The one seam between the server and whatever generates text.

A request borrows a `Backend`; its owner has an `OwnedBackend`, and alone observes and closes it.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.capabilities import EVERYTHING, Capabilities
from llm_api.core.llm.files.gguf import GGUFModel
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.types import (
    Adapter,
    ChatPrompt,
    Event,
    GenerationRequest,
    MarkedText,
    Tokenized,
)


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """What a request to a model gets that does not say it itself. `max_tokens` as in a request."""

    max_tokens: int | None = None
    temperature: float = 0.2


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What can be said of a model without running it. `created` is in Unix seconds.

    `backend` is the kind of engine that runs it; `context_length` is None where that engine has
    not told. `file` is what the header of the model's file says, None where there is no such file.
    `adapters` are those that a request may name, each with its own scale. `weights` is the name of
    the file that is run.
    """

    id: str
    created: int
    owned_by: str
    context_length: int | None
    aliases: tuple[str, ...] = ()
    defaults: GenerationDefaults = GenerationDefaults()
    backend: str = "llama"
    capabilities: Capabilities = EVERYTHING
    file: GGUFModel | None = None
    adapters: tuple[Adapter, ...] = ()
    weights: str | None = None


class Backend(Protocol):
    """Generates text with one model."""

    @property
    def card(self) -> ModelCard: ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """Answer one request: `Started`, any number of deltas, `Finished`.

        Raises before `Started` whatever the caller must know in order to change the request
        (`InvalidRequestError`, `OverloadedError`, `UnavailableError`), and `GenerationError` or
        `UpstreamError` at any moment. Closing the generator aborts the work before the next
        engine step.
        """
        ...

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text by itself; estimated where the vocabulary is not known here.

        Raises UnavailableError.
        """
        ...

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        """The tokens of a text, or of a conversation in the model's chat template.

        They may be more than the context holds. Raises UnsupportedParameterError where the
        vocabulary is not known here, InvalidRequestError, UnavailableError.
        """
        ...

    async def detokenize(self, ids: Sequence[int]) -> str:
        """The text that the tokens stand for. Raises as `tokenize` does."""
        ...


class OwnedBackend(Backend, Protocol):
    """A backend in the hands of its owner."""

    def observe(self) -> Iterator[Observation]:
        """What it shows of itself, which may be nothing. Neither waits nor changes anything."""
        ...

    async def aclose(self) -> None:
        """Free the model. Requests still running end with `UnavailableError`. Idempotent."""
        ...


class BorrowingBackend:
    """The part of a `Backend` that is the same in front of a borrowed one: all but `generate`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def card(self) -> ModelCard:
        return self._backend.card

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await self._backend.count_tokens(texts)

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        return await self._backend.tokenize(text)

    async def detokenize(self, ids: Sequence[int]) -> str:
        return await self._backend.detokenize(ids)


class WithoutVocabulary:
    """The part of a `Backend` whose tokens are not known here."""

    @property
    def card(self) -> ModelCard:
        raise NotImplementedError

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        raise self._unknown_vocabulary()

    async def detokenize(self, ids: Sequence[int]) -> str:
        raise self._unknown_vocabulary()

    def _unknown_vocabulary(self) -> UnsupportedParameterError:
        return UnsupportedParameterError(
            f"The vocabulary of the model `{self.card.id}` is not known to this server, since its"
            f" backend is `{self.card.backend}`: name a local model, or ask that server itself.",
            param="model",
        )
