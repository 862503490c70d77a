"""Servers of both kinds, played by a small application behind a real socket."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

from llm_api.core.embeddings.embedder import EmbedderCard, EmbeddingRequest, TokenIds
from llm_api.core.embeddings.upstream_embedder import (
    UpstreamEmbedder,
    UpstreamEmbedderOptions,
    open_upstream,
)
from llm_api.core.errors import (
    EmbeddingError,
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UnsupportedParameterError,
    UpstreamError,
    UpstreamTimeoutError,
)
from tests.live import live_server

CARD = EmbedderCard("elsewhere", 1, "llm_api")
LIMIT = 8
"""Words that TEI takes of a text."""


@dataclass
class Upstream:
    """What it was asked, and what it answers instead of vectors, if anything."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    answer: Response | None = None
    seconds: float = 0.0


def vector(text: str, dimensions: int | None = None) -> list[float]:
    return [float(len(text)), 1.0, 0.5, -2.0][:dimensions]


def application(upstream: Upstream, *, is_tei: bool) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def note(request: Request, call_next: Any) -> Any:
        upstream.keys.append(request.headers.get("authorization"))
        if request.url.path == "/info":
            return await call_next(request)
        await asyncio.sleep(upstream.seconds)
        return upstream.answer or await call_next(request)

    @app.post("/v1/embeddings")
    async def embeddings(body: dict[str, Any]) -> Any:
        upstream.bodies.append(body)
        data = [
            {"index": index, "embedding": vector(text, body.get("dimensions"))}
            for index, text in enumerate(body["input"])
        ]
        return {"data": data[::-1], "usage": {"prompt_tokens": len(data)}}

    @app.post("/embed")
    async def embed(body: dict[str, Any], response: Response) -> Any:
        upstream.bodies.append(body)
        response.headers["x-compute-tokens"] = str(len(body["inputs"]))
        return [vector(text, body.get("dimensions")) for text in body["inputs"]]

    @app.post("/tokenize")
    async def tokenize(body: dict[str, Any]) -> Any:
        return [[{"id": 0}] * len(text.split()) for text in body["inputs"]]

    if is_tei:
        app.get("/info")(lambda: {"model_id": "some/model", "max_input_length": LIMIT})
    return app


@pytest.fixture(params=["openai", "tei"])
def upstream(request: pytest.FixtureRequest) -> Iterator[Upstream]:
    upstream = Upstream()
    with live_server(application(upstream, is_tei=request.param == "tei")) as url:
        upstream.url = f"{url}/v1"
        yield upstream


@pytest.fixture
async def embedder(upstream: Upstream) -> AsyncGenerator[UpstreamEmbedder, None]:
    options = UpstreamEmbedderOptions(
        upstream.url, "model", api_key="secret", query_prefix="query: "
    )
    embedder = await open_upstream(CARD, options)
    yield embedder
    await embedder.aclose()


openai = pytest.mark.parametrize("upstream", ["openai"], indirect=True)
tei = pytest.mark.parametrize("upstream", ["tei"], indirect=True)


async def test_many_texts_keep_their_order(upstream: Upstream, embedder: UpstreamEmbedder) -> None:
    texts = ["a" * (1 + number % 37) for number in range(100)]
    answer = await embedder.embed(EmbeddingRequest(texts))
    assert answer.vectors.tolist() == [vector(text) for text in texts]
    assert answer.tokens == 100
    assert answer.vectors.dtype == np.float32
    assert len(upstream.bodies) == 4
    assert set(upstream.keys) == {"Bearer secret"}


async def test_the_length_of_vectors_is_handed_on(
    upstream: Upstream, embedder: UpstreamEmbedder
) -> None:
    answer = await embedder.embed(EmbeddingRequest(["a"], dimensions=2))
    assert answer.vectors.tolist() == [vector("a", 2)]
    assert upstream.bodies[0]["dimensions"] == 2


async def test_a_query_gets_its_prefix(upstream: Upstream, embedder: UpstreamEmbedder) -> None:
    await embedder.embed(EmbeddingRequest(["a"], input_type="query"))
    await embedder.embed(EmbeddingRequest(["a"], input_type="document"))
    sent = [body.get("input", body.get("inputs")) for body in upstream.bodies]
    assert sent == [["query: a"], ["a"]]


@tei
async def test_tei_is_told_whether_to_cut_and_what_was_cut_is_found_out(
    upstream: Upstream, embedder: UpstreamEmbedder
) -> None:
    assert embedder.card.max_tokens == LIMIT
    texts = ["word"] * 40
    texts[35] = "word " * (LIMIT + 1)
    answer = await embedder.embed(EmbeddingRequest(texts, truncates=True))
    assert answer.truncated == (35,)
    await embedder.embed(EmbeddingRequest(["a"]))
    assert [body["truncate"] for body in upstream.bodies] == [True, True, False]


@openai
async def test_the_openai_protocol_cannot_say_what_was_cut(embedder: UpstreamEmbedder) -> None:
    with pytest.raises(UnsupportedParameterError, match="truncate"):
        await embedder.embed(EmbeddingRequest(["a"], truncates=True))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (EmbeddingRequest(["a", TokenIds((1, 2))]), r"input\[1\] .*check_embedding_ctx_length"),
        (EmbeddingRequest(["a", ""]), r"input\[1\] is an empty string"),
        (EmbeddingRequest(["a"], task="retrieval.query"), "'task'"),
    ],
)
async def test_what_cannot_be_sent_rightly_is_not_sent(
    upstream: Upstream, embedder: UpstreamEmbedder, request_: EmbeddingRequest, words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        await embedder.embed(request_)
    assert upstream.bodies == []


def refusal(status: int, **headers: str) -> Response:
    return JSONResponse({"error": {"message": "the reason"}}, status, headers=headers)


FAILURES: list[tuple[Response, type[LLMAPIError], str]] = [
    (refusal(400), InvalidRequestError, "the reason"),
    (JSONResponse({"error": "too long"}, 413), InvalidRequestError, "too long"),
    (refusal(401), UnavailableError, "EMBEDDING_API_KEY"),
    (refusal(404), UnavailableError, "answered 404: the reason"),
    (refusal(429), OverloadedError, "busy"),
    (Response("<html>", 502), UpstreamError, "answered 502: <html>"),
    (Response("{"), EmbeddingError, "something other"),
    (JSONResponse({"data": []}), EmbeddingError, "something other"),
    (JSONResponse([[1.0], [2.0]]), EmbeddingError, "something other"),
    (JSONResponse({"data": [{"index": 0, "embedding": ["x"]}]}), EmbeddingError, "something"),
    (Response('{"data": [{"index": 0, "embedding": [NaN]}]}'), EmbeddingError, "something"),
    (Response("[[NaN]]"), EmbeddingError, "something other"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), FAILURES)
async def test_failures_are_told_apart(
    upstream: Upstream,
    embedder: UpstreamEmbedder,
    answer: Response,
    kind: type[LLMAPIError],
    words: str,
) -> None:
    upstream.answer = answer
    with pytest.raises(kind, match=words) as caught:
        await embedder.embed(EmbeddingRequest(["a"]))
    assert caught.value.param == ("input" if kind is InvalidRequestError else None)


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("soon", 1.0), ("-1", 1.0)])
async def test_the_time_to_wait_is_handed_on(
    upstream: Upstream, embedder: UpstreamEmbedder, said: str, seconds: float
) -> None:
    upstream.answer = refusal(429, **{"retry-after": said})
    with pytest.raises(OverloadedError) as caught:
        await embedder.embed(EmbeddingRequest(["a"]))
    assert caught.value.retry_after_seconds == seconds


@openai
async def test_a_server_that_is_silent_is_given_up(upstream: Upstream) -> None:
    embedder = await open_upstream(
        CARD, UpstreamEmbedderOptions(upstream.url, "m", timeout_seconds=0.2)
    )
    upstream.seconds = 1.0
    with pytest.raises(UpstreamTimeoutError, match="did not answer in time"):
        await embedder.embed(EmbeddingRequest(["a"]))
    await embedder.aclose()


async def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9/v1 cannot be reached"):
        await open_upstream(CARD, UpstreamEmbedderOptions("http://127.0.0.1:9/v1", "model"))
