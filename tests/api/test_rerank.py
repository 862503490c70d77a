"""Texts judged over HTTP: Cohere's and Jina's form, text-embeddings-inference's, and embeddings."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2
import numpy as np
import pytest

from tests.core.embeddings.fake_reranker import FakeReranker
from tests.fakes import FakeRequestLog, FakeServices

TEXTS = ["Dogs bark.", "Cats purr, cats sleep.", "A cat."]
ASKED: Mapping[str, Any] = {"query": "cat", "documents": TEXTS}
PATHS = ["/v1/rerank", "/v2/rerank", "/rerank", "/v1/reranking", "/reranking"]


@pytest.fixture
def reranker(services: FakeServices) -> FakeReranker:
    services.reranker = reranker = FakeReranker()
    return reranker


async def answered(client: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", PATHS)
async def test_the_best_come_first(
    client: httpx2.AsyncClient, reranker: FakeReranker, path: str
) -> None:
    body = await answered(client, path, **ASKED, model="judge")
    assert [one["index"] for one in body["results"]] == [1, 2, 0]
    assert [one["relevance_score"] for one in body["results"]] == pytest.approx(
        [0.731, 0.5, 0.269], abs=0.001
    )
    assert (body["model"], body["usage"]) == ("judge", {"prompt_tokens": 7, "total_tokens": 7})
    assert body["id"]
    assert body["meta"]["api_version"]["version"] == ("2" if path == "/v2/rerank" else "1")


async def test_only_as_many_as_are_wanted_with_their_documents(
    client: httpx2.AsyncClient, reranker: FakeReranker
) -> None:
    documents = [{"text": "a cat", "id": 5}, "no"]
    body = await answered(
        client, "/v1/rerank", query="cat", documents=documents, top_n=1, return_documents=True
    )
    [best] = body["results"]
    assert best["document"] == documents[0]
    body = await answered(client, "/v1/rerank", **ASKED, top_n=99, raw_scores=True)
    assert [one["relevance_score"] for one in body["results"]] == [1, 0, -1]


async def test_fields_of_objects_are_read_in_their_order(
    client: httpx2.AsyncClient, reranker: FakeReranker
) -> None:
    documents = [{"title": "One", "year": 1999, "text": "x"}]
    fields = ["year", "title", "absent"]
    await answered(client, "/v1/rerank", query="q", documents=documents, rank_fields=fields)
    await answered(client, "/v1/rerank", query="q", documents=documents, max_tokens_per_doc=9)
    first, second = reranker.asked
    assert first.texts == ["1999\nOne"]
    assert (second.texts, second.longest_text) == (["x"], 9)


async def test_text_embeddings_inference_gets_a_list(
    client: httpx2.AsyncClient, reranker: FakeReranker
) -> None:
    asked: dict[str, Any] = {"query": "cat", "texts": TEXTS}
    body = await answered(client, "/rerank", **asked, raw_scores=True, return_text=True)
    assert body == [
        {"index": 1, "score": 1.0, "text": TEXTS[1]},
        {"index": 2, "score": 0.0, "text": TEXTS[2]},
        {"index": 0, "score": -1.0, "text": TEXTS[0]},
    ]
    assert not reranker.asked[0].truncates
    await answered(client, "/rerank", **asked, truncate=True)
    assert reranker.asked[1].truncates


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": "q"}, "documents"),
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "q", "documents": 123}, "documents"),
        ({"query": "q", "documents": [1, 2]}, "documents[0]"),
        ({"query": "q", "documents": [{"title": "x"}]}, "documents[0]"),
        ({"query": "q", "documents": [{"text": []}]}, "documents[0]"),
        ({"query": "q", "documents": ["a"] * 2049}, "documents"),
        ({"query": "q", "documents": ["a"], "texts": ["a"]}, "texts"),
        ({"query": "", "documents": ["a"]}, "query"),
        ({"documents": ["a"]}, "query"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
    ],
)
async def test_what_is_wrong_is_said_as_every_client_reads_it(
    client: httpx2.AsyncClient, reranker: FakeReranker, body: dict[str, Any], param: str
) -> None:
    answer = await client.post("/rerank", json=body)
    assert answer.status_code == 400
    told = answer.json()
    assert told["error"]["param"] == param
    assert told["message"] == told["error"]["message"]
    assert not reranker.asked


async def test_an_unknown_model_is_404(client: httpx2.AsyncClient, reranker: FakeReranker) -> None:
    answer = await client.post("/v1/rerank", json={**ASKED, "model": "rerank-v3.5"})
    assert answer.status_code == 404
    assert "`judge`" in answer.json()["message"]


async def test_without_a_model_the_setting_is_named(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/rerank", json=ASKED)
    assert answer.status_code == 400
    assert "RERANK_MODEL" in answer.json()["message"]


async def test_embeddings_judge_where_they_are_asked_for(client: httpx2.AsyncClient) -> None:
    documents = ["bread and butter", "query: the cat sleeps", ""]
    # The model has a prompt for queries, `query: `: the second document is the query itself.
    asked = {"query": "the cat sleeps", "documents": documents, "mode": "embedding"}
    body = await answered(client, "/v1/rerank", **asked)
    best, *others = body["results"]
    assert best["index"] == 1
    assert best["relevance_score"] == pytest.approx(1, abs=1e-5)
    assert all(0 <= one["relevance_score"] < 1 for one in others)
    assert body["usage"]["total_tokens"] > 0
    answer = await client.post("/v1/rerank", json={**asked, "max_tokens_per_doc": 5})
    assert answer.json()["error"]["param"] == "max_tokens_per_doc"


async def test_usage_is_logged_and_what_was_cut_is_told(
    client: httpx2.AsyncClient, reranker: FakeReranker, services: FakeServices
) -> None:
    answer = await client.post("/v1/rerank", json=ASKED)
    assert answer.headers["x-truncated-inputs"] == "1"
    log = services.request_log
    assert isinstance(log, FakeRequestLog)
    assert (log.records[-1]["model"], log.records[-1]["prompt_tokens"]) == ("judge", 7)


async def test_a_client_that_leaves_ends_the_work(base_url: str, reranker: FakeReranker) -> None:
    reranker.seconds = 60
    async with httpx2.AsyncClient(base_url=base_url) as client:
        asking = asyncio.create_task(client.post("/v1/rerank", json=ASKED))
        while not reranker.asked:
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    async with asyncio.timeout(20):
        while not reranker.cancelled:
            await asyncio.sleep(0.01)


async def test_vectors_come_as_a_bare_list(client: httpx2.AsyncClient) -> None:
    one = await answered(client, "/embed", inputs="the cat")
    two = await answered(client, "/embed", inputs=["the cat", "a dog"], normalize=False)
    assert (len(one), len(two)) == (1, 2)
    assert np.linalg.norm(one[0]) == pytest.approx(1, abs=1e-5)


async def test_the_embedding_model_is_told(client: httpx2.AsyncClient) -> None:
    body = (await client.get("/info")).json()
    assert body["model_id"]
    assert body["max_client_batch_size"] == 2048
