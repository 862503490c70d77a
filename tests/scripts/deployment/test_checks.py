"""The checks before servers that are not what they should be."""

import json
from collections.abc import Callable

import httpx2
import pytest

from scripts.client_demo import Outcome
from scripts.deployment.checks import DEPLOYMENT_CHECKS, check_all

MODELS = [{"id": "small", "type": "generation"}, {"id": "vectors", "type": "embedding"}]

Answer = Callable[[httpx2.Request], httpx2.Response]


def outcomes(answer: Answer, *, has_key: bool = True) -> dict[str, Outcome]:
    """What the checks find out about a server that answers so."""
    transport = httpx2.MockTransport(answer)
    with httpx2.Client(transport=transport, base_url="http://server") as http:
        return {one.endpoint: one for one in check_all(http, http, has_key=has_key)}


def server(answer: httpx2.Response, models: object = MODELS) -> Answer:
    """A server that tells its models, and answers everything else so."""

    def answers(request: httpx2.Request) -> httpx2.Response:
        if request.url.path in ("/v1/models", "/openapi.json"):
            return httpx2.Response(200, json={"data": models, "paths": {}})
        return answer

    return answers


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404, json={"error": {"code": "unknown_url"}}),
        httpx2.Response(200, json={}),
        httpx2.Response(200, text="<html>It works!</html>"),
        httpx2.Response(500, text="down"),
    ],
    ids=["nothing served", "empty objects", "another server", "down"],
)
def test_no_check_passes_on_answers_that_are_none(answer: httpx2.Response) -> None:
    found = outcomes(server(answer))
    assert found.keys() == DEPLOYMENT_CHECKS.keys()
    results = {name: one.result for name, one in found.items()}
    assert results.pop("functions") in {"failed", "skipped"}
    assert set(results.values()) == {"failed"}


def test_what_is_no_such_server_fails_as_a_whole() -> None:
    [outcome] = outcomes(lambda _: httpx2.Response(200, text="<html>It works!</html>")).values()
    assert outcome.result == "failed"


def test_a_server_that_asks_for_no_key_though_one_was_given_fails() -> None:
    found = outcomes(server(httpx2.Response(200, json={})))
    assert "answered 200" in found["auth"].detail


def test_without_a_key_the_check_of_keys_is_skipped() -> None:
    found = outcomes(server(httpx2.Response(200, json={})), has_key=False)
    assert found["auth"].result == "skipped"


def test_a_server_without_embeddings_is_told_apart_from_a_broken_one() -> None:
    found = outcomes(server(httpx2.Response(200, json={}), MODELS[:1]))
    skipped = {"embeddings", "documents", "search", "RAG chat", "clean up"}
    assert {name for name, one in found.items() if one.result == "skipped"} == skipped


def word(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


@pytest.mark.parametrize(
    ("frames", "detail"),
    [
        ([word("a")] * 8, "without [DONE]"),
        ([word("a"), '{"error": {"code": "internal_error"}}'], "internal_error"),
        ([*[word("a")] * 8, "[DONE]"], "come at once"),
        ([word("a"), "[DONE]"], "only 1 events"),
    ],
)
def test_a_stream_that_is_cut_or_gathered_fails(frames: list[str], detail: str) -> None:
    text = "".join(f"data: {one}\n\n" for one in frames)
    found = outcomes(server(httpx2.Response(200, text=text)))
    assert found["streaming"].result == "failed"
    assert detail in found["streaming"].detail
