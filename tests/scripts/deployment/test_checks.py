"""The checks before servers that are not what they should be."""

import json
from collections.abc import Callable

import httpx2
import pytest

from scripts.deployment.checking import Outcome, run_checks
from scripts.deployment.checks import CHECKS
from scripts.deployment.server import DeployedServer

MODELS = {"data": [{"id": "small", "type": "generation"}, {"id": "vectors", "type": "embedding"}]}


def outcomes(
    answer: Callable[[httpx2.Request], httpx2.Response], *, has_key: bool = True
) -> dict[str, Outcome]:
    """What the checks find out about a server that answers so."""
    transport = httpx2.MockTransport(answer)
    with httpx2.Client(transport=transport, base_url="http://server") as http:
        found = run_checks(CHECKS, DeployedServer(http, http, has_key))
        return {one.name: one for one in found}


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx2.Response(404, json={"error": {"code": "unknown_url"}}),
        lambda _: httpx2.Response(200, json={}),
        lambda _: httpx2.Response(200, text="<html>It works!</html>"),
        lambda _: httpx2.Response(500, text="down"),
    ],
    ids=["nothing served", "empty objects", "another server", "down"],
)
def test_no_check_passes_where_there_is_no_such_server(
    answer: Callable[[httpx2.Request], httpx2.Response],
) -> None:
    found = outcomes(answer)
    assert {one.name for one in found.values() if one.status == "passed"} == set()
    assert {one.name for one in found.values() if one.status == "skipped"} <= {
        "search",
        "RAG chat",
        "clean up",
    }


def test_a_server_that_asks_for_no_key_though_one_was_given_fails() -> None:
    found = outcomes(lambda _: httpx2.Response(200, json=MODELS))
    assert found["auth"].status == "failed"
    assert "answered 200" in found["auth"].detail


def test_without_a_key_the_check_of_keys_is_skipped() -> None:
    found = outcomes(lambda _: httpx2.Response(200, json=MODELS), has_key=False)
    assert (found["auth"].status, found["models"].status) == ("skipped", "passed")


def test_a_server_without_embeddings_is_told_apart_from_a_broken_one() -> None:
    alone = {"data": [MODELS["data"][0]]}
    found = outcomes(lambda _: httpx2.Response(200, json=alone))
    skipped = {"embeddings", "documents", "search", "RAG chat", "clean up"}
    assert {one.name for one in found.values() if one.status == "skipped"} == skipped


def streamed(*frames: str) -> Callable[[httpx2.Request], httpx2.Response]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json=MODELS)
        return httpx2.Response(200, text="".join(f"data: {one}\n\n" for one in frames))

    return answer


def word(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


@pytest.mark.parametrize(
    ("frames", "detail"),
    [
        ([word("a")] * 8, "without [DONE]"),
        ([word("a"), '{"error": {"code": "internal_error"}}'], "internal_error"),
        ([*[word("a")] * 8, "[DONE]"], "come at once"),
        ([*[word("")] * 8, "[DONE]"], "no text"),
    ],
)
def test_a_stream_that_is_cut_or_gathered_fails(frames: list[str], detail: str) -> None:
    found = outcomes(streamed(*frames))
    assert found["streaming"].status == "failed"
    assert detail in found["streaming"].detail
