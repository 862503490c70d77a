"""Another server that embeds: OpenAI-compatible, or text-embeddings-inference (TEI).

TEI is asked in its own words: its OpenAI route may cut long texts without saying so.
Knows HTTP as a client. Does not know the other model's vocabulary, so it refuses token ids.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from llm_api.core.embeddings.embedder import (
    EmbedderCard,
    EmbeddingRequest,
    Embeddings,
    TokenCounter,
    Vectors,
)
from llm_api.core.errors import EmbeddingError, InvalidRequestError, UnsupportedParameterError
from llm_api.core.upstream import UpstreamServer, WholeAnswer, refusal
from llm_api.core.utils.tokens import TokenMeter, estimate_tokens

if TYPE_CHECKING:
    from llm_api.core.upstream_http import UpstreamHTTP

TEXTS_AT_ONCE = 32
"""Inputs of one request: what TEI takes if it is not told otherwise."""

REQUESTS_AT_ONCE = 4

ANSWER_BYTES = 32 * 1024 * 1024
"""32 vectors of 16,384 numbers are 12 MB of JSON."""


@dataclass(frozen=True, slots=True)
class UpstreamEmbedderOptions:
    """`url` is the base URL that an OpenAI client would be given. Prefixes of None are none."""

    url: str
    model: str
    api_key: str | None = None
    timeout_seconds: float = 60.0
    dimension: int | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Texts that are sent together."""

    texts: Sequence[str]
    dimensions: int | None
    truncates: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    vectors: Vectors
    tokens: int
    truncated: Sequence[int] = ()


class _Dialect(Protocol):
    """How one kind of server is asked. Raises KeyError, TypeError, ValueError for odd answers."""

    async def ask(self, client: "_Client", part: _Part) -> _Answer: ...


class UpstreamEmbedder:
    """Embeds on another server. Made by `open_upstream`."""

    def __init__(
        self,
        card: EmbedderCard,
        client: "_Client",
        dialect: _Dialect,
        options: UpstreamEmbedderOptions,
    ) -> None:
        self._card = card
        self._client = client
        self._dialect = dialect
        self._options = options
        self._places = asyncio.Semaphore(REQUESTS_AT_ONCE)

    @property
    def card(self) -> EmbedderCard:
        return self._card

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        texts = self._texts(request)
        parts = [
            _Part(
                texts[start : start + TEXTS_AT_ONCE],
                request.dimensions or self._options.dimension,
                request.truncates,
            )
            for start in range(0, len(texts), TEXTS_AT_ONCE)
        ]
        tasks = [asyncio.create_task(self._ask(part, request.meter)) for part in parts]
        try:
            answers = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return _joined(answers)

    async def token_counter(self) -> TokenCounter:
        return lambda texts: [estimate_tokens(text) for text in texts]

    async def aclose(self) -> None:
        await self._client.http.aclose()

    def _texts(self, request: EmbeddingRequest) -> list[str]:
        """The texts to send. Raises InvalidRequestError for what cannot be sent rightly."""
        if request.task is not None:
            raise UnsupportedParameterError(
                "'task' is not available: the model runs on another server.", param="task"
            )
        prefixes = {
            "query": self._options.query_prefix,
            "document": self._options.document_prefix,
        }
        prefix = (request.input_type and prefixes[request.input_type]) or ""
        texts = []
        for position, one in enumerate(request.inputs):
            name = f"input[{position}]"
            if not isinstance(one, str):
                raise InvalidRequestError(
                    f"{name} is token ids, and the vocabulary of the model is not known here; send"
                    " the text itself; in LangChain's OpenAIEmbeddings set"
                    " check_embedding_ctx_length=False.",
                    param=name,
                )
            if not one:
                raise InvalidRequestError(f"{name} is an empty string.", param=name)
            texts.append(prefix + one)
        return texts

    async def _ask(self, part: _Part, meter: TokenMeter) -> _Answer:
        async with self._places:
            try:
                answer = await self._dialect.ask(self._client, part)
            except (KeyError, RecursionError, TypeError, ValueError) as error:
                raise _odd(self._options.url) from error
            except asyncio.CancelledError:
                # It may be computed there all the same; nobody will tell how much it was.
                meter.tokens += sum(map(estimate_tokens, part.texts))
                raise
        meter.tokens += answer.tokens
        shape = answer.vectors.shape
        wanted = part.dimensions or shape[-1]
        if shape != (len(part.texts), wanted) or not np.isfinite(answer.vectors).all():
            raise _odd(self._options.url)
        return answer


@dataclass(frozen=True, slots=True)
class _Client:
    """A connection whose failures are errors of ours."""

    http: "UpstreamHTTP"
    server: UpstreamServer

    async def post(self, path: str, body: dict[str, Any]) -> WholeAnswer:
        answer = await self.http.post(path, body, ANSWER_BYTES)
        if not answer.is_success:
            raise refusal(self.server, answer, "input")
        return answer


@dataclass(frozen=True, slots=True)
class _OpenAI:
    """`POST /embeddings` under the base URL."""

    model: str

    async def ask(self, client: _Client, part: _Part) -> _Answer:
        if part.truncates:
            raise UnsupportedParameterError(
                "'truncate' is not available: the server that embeds would not say what it cut.",
                param="truncate",
            )
        body: dict[str, Any] = {"model": self.model, "input": list(part.texts)}
        if part.dimensions is not None:
            body["dimensions"] = part.dimensions
        answer = (await client.post("embeddings", body | {"encoding_format": "float"})).json()
        data = sorted(answer["data"], key=lambda item: int(item["index"]))
        if [item["index"] for item in data] != list(range(len(part.texts))):
            raise ValueError("not one vector for each text")
        vectors = np.array([item["embedding"] for item in data], dtype=np.float32)
        return _Answer(vectors, int((answer.get("usage") or {}).get("prompt_tokens", 0)))


@dataclass(frozen=True, slots=True)
class _TEI:
    """`POST /embed` beside the base URL; `max_tokens` of a text."""

    max_tokens: int

    async def ask(self, client: _Client, part: _Part) -> _Answer:
        truncated = await self._too_long(client, part.texts) if part.truncates else []
        body: dict[str, Any] = {"inputs": list(part.texts), "truncate": part.truncates}
        if part.dimensions is not None:
            body["dimensions"] = part.dimensions
        response = await client.post("../embed", body)
        vectors = np.array(response.json(), dtype=np.float32)
        return _Answer(vectors, int(response.headers.get("x-compute-tokens", 0)), truncated)

    async def _too_long(self, client: _Client, texts: Sequence[str]) -> list[int]:
        tokens = (await client.post("../tokenize", {"inputs": list(texts)})).json()
        return [position for position, one in enumerate(tokens) if len(one) > self.max_tokens]


async def open_upstream(card: EmbedderCard, options: UpstreamEmbedderOptions) -> UpstreamEmbedder:
    """Find out which kind of server it is. Raises UnavailableError where none answers.

    Raises UpstreamError where what answers breaks off, or takes too long.
    """
    # It takes a tenth of a second to import: only for those who ask other servers.
    from llm_api.core.upstream_http import UpstreamHTTP  # noqa: PLC0415

    headers = {"authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    url = options.url.rstrip("/")
    base = url if url.endswith("/v1") else f"{url}/v1"
    server = UpstreamServer(url, "EMBEDDING_API_KEY", options.api_key)
    seconds = options.timeout_seconds
    http = UpstreamHTTP(server, base, headers, connect_seconds=seconds, silence_seconds=seconds)
    client = _Client(http, server)
    try:
        limit = _tei_limit(await http.get("../info"))
    except BaseException:
        await http.aclose()
        raise
    known = replace(card, dimension=options.dimension, max_tokens=limit)
    dialect = _OpenAI(options.model) if limit is None else _TEI(limit)
    return UpstreamEmbedder(known, client, dialect, options)


def _tei_limit(info: WholeAnswer) -> int | None:
    """The tokens that TEI takes of a text; None where it is not TEI that answered."""
    try:
        said = info.json()
        return int(said["max_input_length"]) if info.is_success and "model_id" in said else None
    except (KeyError, RecursionError, TypeError, ValueError):
        return None


def _joined(answers: Sequence[_Answer]) -> Embeddings:
    truncated = [
        number * TEXTS_AT_ONCE + position
        for number, answer in enumerate(answers)
        for position in answer.truncated
    ]
    return Embeddings(
        np.vstack([answer.vectors for answer in answers]),
        sum(answer.tokens for answer in answers),
        tuple(truncated),
    )


def _odd(url: str) -> EmbeddingError:
    return EmbeddingError(f"{url} answered with something other than one vector for each text.")
