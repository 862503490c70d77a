"""A model in this process as an Embedder: tokens, limits, cache, batches, length of vectors."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from llm_api.core.embeddings.cache import VectorCache, cache_key
from llm_api.core.embeddings.embedder import (
    EmbedderCard,
    EmbeddingInput,
    EmbeddingRequest,
    Embeddings,
    TokenCounter,
    TokenIds,
    Vectors,
)
from llm_api.core.embeddings.encoder import Encoder, EncoderText
from llm_api.core.embeddings.micro_batcher import Compute, MicroBatcher
from llm_api.core.embeddings.prompts import (
    Treatment,
    choose_treatment,
    known_tasks,
    with_prefixes,
)
from llm_api.core.embeddings.vectors import check_dimension, shorten
from llm_api.core.errors import ContextLengthExceededError, InvalidRequestError

TOKENIZED_AT_ONCE = 6_000
"""Characters that the event loop may tokenise itself: about 1 ms."""

SEND_TEXT = (
    "send the text itself; in LangChain's OpenAIEmbeddings set check_embedding_ctx_length=False"
)


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """`batch_tokens` bounds a padded batch. Of the others, None is the model's own."""

    dimension: int | None = None
    allows_any_dimension: bool = False
    batch_tokens: int = 512
    cached_vectors: int = 4096
    query_prefix: str | None = None
    document_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    texts: list[EncoderText]
    tokens: int
    truncated: tuple[int, ...]


class LocalEmbedder:
    """Embeds with one loaded model. Open it on an event loop; it owns the encoder."""

    def __init__(
        self, card: EmbedderCard, encoder: Encoder, compute: Compute, options: LocalOptions
    ) -> None:
        """Raises UnsupportedParameterError for a length of vectors the model is not made for."""
        facts = with_prefixes(encoder.facts, options.query_prefix, options.document_prefix)
        self._facts = facts
        self._dimension = options.dimension or facts.dimension
        check_dimension(
            self._dimension,
            facts.dimension,
            facts.matryoshka_dimensions,
            allows_any=options.allows_any_dimension,
            name="EMBEDDING_DIMENSION",
        )
        self._card = replace(
            card,
            dimension=self._dimension,
            max_tokens=facts.max_tokens,
            tasks=known_tasks(facts),
        )
        self._encoder = encoder
        self._options = options
        self._compute = compute
        self._cache = VectorCache(options.cached_vectors)
        self._batcher = MicroBatcher(encoder.encode, compute, options.batch_tokens)

    @property
    def card(self) -> EmbedderCard:
        return self._card

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        treatment = choose_treatment(request, self._facts)
        dimension = self._dimension_of(request)
        prepared = await self._prepare(request, treatment)
        vectors = await self._vectors(prepared.texts, treatment.adapter, request)
        return Embeddings(shorten(vectors, dimension), prepared.tokens, prepared.truncated)

    async def token_counter(self) -> TokenCounter:
        return partial(_count_tokens, self._encoder)

    async def aclose(self) -> None:
        await self._batcher.aclose()
        self._encoder.close()

    def _dimension_of(self, request: EmbeddingRequest) -> int:
        if request.dimensions in (None, self._dimension):
            return self._dimension
        facts = self._facts
        check_dimension(
            request.dimensions,
            facts.dimension,
            facts.matryoshka_dimensions,
            allows_any=self._options.allows_any_dimension,
            name="dimensions",
        )
        return request.dimensions

    async def _prepare(self, request: EmbeddingRequest, treatment: Treatment) -> _Prepared:
        characters = sum(map(_size, request.inputs))
        if characters <= TOKENIZED_AT_ONCE:
            return _prepare(self._encoder, request, treatment)
        return await asyncio.to_thread(_prepare, self._encoder, request, treatment)

    async def _vectors(
        self, texts: Sequence[EncoderText], adapter: str | None, request: EmbeddingRequest
    ) -> Vectors:
        """Each text's vector, computed once however often it occurs."""
        keys = [cache_key(request.scope, adapter or "", text.text) for text in texts]
        known = {key: vector for key in keys if (vector := self._cache.get(key)) is not None}
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if unknown:
            computed = await self._batcher.encode([*unknown.values()], adapter, request.meter)
            for key, vector in zip(unknown, computed, strict=True):
                self._cache.put(key, vector)
                known[key] = vector
        return np.stack([known[key] for key in keys])


def _count_tokens(encoder: Encoder, texts: Sequence[str]) -> list[int]:
    special, *tokens = encoder.tokenize(["", *texts])
    return [len(ids) - len(special) for ids in tokens]


def _size(one: EmbeddingInput) -> int:
    return 8 * len(one.ids) if isinstance(one, TokenIds) else len(one)


def _prepare(encoder: Encoder, request: EmbeddingRequest, treatment: Treatment) -> _Prepared:
    """Tokens of every input, checked. Raises InvalidRequestError for the first that is wrong."""
    texts = [
        treatment.prompt + _text(encoder, one, position)
        for position, one in enumerate(request.inputs)
    ]
    limit = encoder.facts.max_tokens
    tokens = encoder.tokenize(texts)
    truncated = tuple(position for position, ids in enumerate(tokens) if len(ids) > limit)
    if truncated and not request.truncates:
        position = truncated[0]
        raise ContextLengthExceededError(
            f"input[{position}] has {len(tokens[position])} tokens, and the model reads at most"
            f" {limit}; shorten it, or send 'truncate': true.",
            param=f"input[{position}]",
        )
    prepared = [
        EncoderText(text, encoder.cut(ids, limit)) for text, ids in zip(texts, tokens, strict=True)
    ]
    return _Prepared(prepared, sum(len(text.ids) for text in prepared), truncated)


def _text(encoder: Encoder, one: EmbeddingInput, position: int) -> str:
    name = f"input[{position}]"
    if isinstance(one, str):
        if not one:
            raise InvalidRequestError(f"{name} is an empty string.", param=name)
        return one
    size = encoder.facts.vocabulary_size
    foreign = next((token for token in one.ids if not 0 <= token < size), None)
    if foreign is not None:
        raise InvalidRequestError(
            f"{name} holds the token {foreign}, and the model's vocabulary ends at {size - 1}:"
            f" these ids are another model's; {SEND_TEXT}.",
            param=name,
        )
    text = encoder.spell(one.ids)
    # Ids of another vocabulary are often within this one. Taken as they are, they would be a
    # text that nobody wrote; they are not what the tokeniser makes of that text, though.
    if not text or encoder.tokenize([text]) != [list(one.ids)]:
        raise InvalidRequestError(
            f"{name} is not what the model's own tokenizer makes of a text, special tokens"
            f" included: these ids seem to be another model's; {SEND_TEXT}.",
            param=name,
        )
    return text
