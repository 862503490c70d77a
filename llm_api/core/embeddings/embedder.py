"""The one seam between the server, or retrieval, and whatever turns texts into vectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llm_api.core.utils.tokens import TokenMeter

InputType: TypeAlias = Literal["query", "document"]
Vectors: TypeAlias = NDArray[np.float32]
"""Shape (texts, dimension): one row for each text, in their order.

Of unit length where the model or its server normalises, as all-MiniLM-L6-v2 and every GGUF model
do, and wherever they were shortened. Code that needs cosines normalises."""


@dataclass(frozen=True, slots=True)
class TokenIds:
    """A text as ids of the model's own vocabulary, special tokens included."""

    ids: tuple[int, ...]


EmbeddingInput: TypeAlias = str | TokenIds


@dataclass(frozen=True, slots=True)
class EmbedderCard:
    """What can be said of an embedding model. None where it is not known, or not yet.

    `created` is in Unix seconds. `tasks` are the names that a request may choose from.
    """

    id: str
    created: int
    owned_by: str
    aliases: tuple[str, ...] = ()
    dimension: int | None = None
    max_tokens: int | None = None
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to embed alike. None leaves a choice to the model and the settings.

    `input_type` chooses the prompt that the model was trained with for it, `task` one of the
    card's. `truncates` cuts what is too long, instead of refusing it. `scope` names who may share
    cached vectors with this request: the API key's identity. `meter` is told of what has been
    computed where there is no answer to tell it.
    """

    inputs: Sequence[EmbeddingInput]
    input_type: InputType | None = None
    task: str | None = None
    dimensions: int | None = None
    truncates: bool = False
    scope: str = ""
    meter: TokenMeter = field(default_factory=TokenMeter, compare=False)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The vectors of a request's inputs, in their order.

    `tokens` is what the model read, prompts and special tokens included. `truncated` are the
    positions of inputs that were cut.
    """

    vectors: Vectors
    tokens: int
    truncated: tuple[int, ...] = ()


TokenCounter: TypeAlias = Callable[[Sequence[str]], Sequence[int]]
"""The tokens of each text, without those that the model puts around it. Thread-safe; blocks."""


class Embedder(Protocol):
    """Turns texts into vectors with one model."""

    @property
    def card(self) -> EmbedderCard: ...

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Embed every input, or none.

        Raises InvalidRequestError for what the caller has to change; its `param` names the input.
        Raises OverloadedError, UnavailableError or UpstreamError where a later retry may succeed,
        EmbeddingError where the model failed. Cancelling drops the inputs that are not computed
        yet.
        """
        ...

    async def token_counter(self) -> TokenCounter:
        """Counts as the model does, or estimates where its vocabulary is not known here.

        Raises UnavailableError.
        """
        ...


class OwnedEmbedder(Embedder, Protocol):
    """An embedder in the hands of who opened it, and closes it."""

    async def aclose(self) -> None:
        """Free the model. Requests still running end with UnavailableError. Idempotent."""
        ...
