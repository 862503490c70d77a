"""Every request leaves one record, out of the events that answered it."""

import logging
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from llm_api.core.errors import GenerationError
from llm_api.core.llm.types import (
    Finished,
    ServedBy,
    Started,
    TextDelta,
    Timings,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.api.bodies import chat, completion, embedding, tool
from tests.core.embeddings.fake_encoder import EMBEDDING_ID
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, Step, endless, spoken
from tests.live import PATIENCE_SECONDS, wait_until

CHAT = "/v1/chat/completions"
LEGACY = "/v1/completions"


def timed(_: object) -> list[Step]:
    usage = Usage(5, 2, cached_tokens=3)
    return [
        Started(5),
        0.02,
        TextDelta("Hel"),
        0.02,
        TextDelta("lo"),
        Finished("stop", usage, Timings(0.25, 0.5, 0.75)),
    ]


def only(services: FakeServices) -> Mapping[str, Any]:
    """The one record, once it is there: it is written after the answer has ended."""
    wait_until(lambda: len(services.request_log.records) > 0)
    [record] = services.request_log.records
    return record


GENERATIONS = [
    (CHAT, chat(stream=False)),
    (CHAT, chat(stream=True)),
    (LEGACY, completion(stream=False)),
    (LEGACY, completion(stream=True)),
    ("/generate", {"prompt": "Hi"}),
    ("/chat", {"prompt": "Hi"}),
    ("/chat/stream", {"prompt": "Hi"}),
]


@pytest.mark.parametrize(("path", "body"), GENERATIONS)
async def test_a_generation_s_record_is_the_same_streamed_or_not(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    services: FakeServices,
    path: str,
    body: dict[str, object],
) -> None:
    backend.script = timed
    response = await client.post(path, json=body)
    record = dict(only(services))
    assert record.pop("id") == response.headers["x-request-id"]
    told = datetime.fromisoformat(record.pop("time"))
    assert told.utcoffset() == timedelta(0)
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=5)
    first, total = record.pop("first_token_seconds"), record.pop("total_seconds")
    assert 0.02 <= first <= total - 0.02 < 5
    assert record == {
        "key": None,
        "method": "POST",
        "endpoint": path,
        "model": MODEL_ID,
        "backend": "llama",
        "fallback": None,
        "status": 200,
        "error": None,
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "cached_tokens": 3,
        "queue_seconds": 0.25,
    }


async def test_several_choices_are_counted_as_their_usage_is(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    body = completion(prompt=["a", "b"], n=2)
    usage = (await client.post(LEGACY, json=body)).json()["usage"]
    record = only(services)
    assert record["prompt_tokens"] == usage["prompt_tokens"] == 10
    assert record["completion_tokens"] == usage["completion_tokens"] == 12


async def test_who_really_answered_is_written(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    backend.script = lambda _: [Started(1, ServedBy("stub", "second")), *spoken("x")[1:]]
    await client.post(CHAT, json=chat())
    record = only(services)
    assert (record["backend"], record["fallback"]) == ("stub", "second")


async def test_embeddings_are_written_with_their_tokens(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    usage = (await client.post("/v1/embeddings", json=embedding())).json()["usage"]
    record = only(services)
    assert (record["endpoint"], record["model"]) == ("/v1/embeddings", EMBEDDING_ID)
    assert record["prompt_tokens"] == usage["prompt_tokens"] > 0
    assert record["completion_tokens"] == 0


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/health", ("/health", 200, None)),
        ("GET", "/v1/models/none/such", ("/v1/models/{model}", 404, "model_not_found")),
        ("GET", "/v1/functions/none", ("/v1/functions/{name}", 404, "function_not_found")),
        ("POST", "/v1/functions/none", ("/v1/functions/{name}", 415, "unsupported_content_type")),
        ("POST", "/chat", ("/chat", 415, "unsupported_content_type")),
        ("GET", "/chat", ("/chat", 405, "method_not_supported")),
        ("GET", "/docs", ("/docs", 200, None)),
        ("GET", "/docs/assets/favicon.png", ("/docs/assets", 200, None)),
        ("GET", "/openapi.json", ("/openapi.json", 200, None)),
        ("GET", "/nowhere/sesame?key=sesame", (None, 404, "unknown_url")),
    ],
)
async def test_every_request_is_written_with_its_route_and_never_its_address(
    client: httpx2.AsyncClient,
    services: FakeServices,
    method: str,
    path: str,
    expected: tuple[str | None, int, str | None],
) -> None:
    response = await client.request(method, path)
    record = only(services)
    assert record["method"] == method
    assert (record["endpoint"], record["status"], record["error"]) == expected
    assert record["status"] == response.status_code
    assert record["model"] is None
    assert record["total_seconds"] > 0
    assert "sesame" not in str(record)


async def test_a_bug_is_written_as_what_was_answered(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    backend.script = lambda _: [ValueError("secret detail")]
    await client.post(CHAT, json=chat())
    record = only(services)
    assert (record["status"], record["error"], record["model"]) == (500, "internal_error", MODEL_ID)


async def test_a_failure_in_mid_stream_is_written(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    backend.script = lambda _: [*spoken("Hel")[:-1], GenerationError("The engine failed.")]
    await client.post(CHAT, json=chat(stream=True))
    record = only(services)
    assert (record["status"], record["error"]) == (200, "generation_failed")
    assert record["completion_tokens"] is None


@pytest.mark.parametrize(("path", "body"), GENERATIONS)
def test_a_client_that_leaves_is_written_as_499(
    base_url: str,
    backend: FakeBackend,
    services: FakeServices,
    path: str,
    body: dict[str, object],
) -> None:
    backend.script = endless
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(base_url + path, json=body, timeout=httpx2.Timeout(PATIENCE_SECONDS, read=0.01))
    record = only(services)
    assert (record["status"], record["endpoint"]) == (499, path)
    assert record["prompt_tokens"] is None


@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings", "/mcp"])
def test_a_client_that_leaves_inside_its_body_is_no_error_of_the_server(
    base_url: str,
    services: FakeServices,
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = urlsplit(base_url)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with socket.create_connection((str(address.hostname), address.port or 0)) as connection:
        connection.sendall(f"{head}content-length: 1000\r\n\r\n{{".encode())
        time.sleep(0.05)
    record = only(services)
    assert (record["status"], record["error"]) == (499, None)
    assert caplog.records == []


def test_a_client_that_leaves_in_mid_stream_is_written_as_499(
    base_url: str, backend: FakeBackend, services: FakeServices
) -> None:
    backend.script = endless
    with httpx2.stream("POST", base_url + CHAT, json=chat(stream=True)) as response:
        next(response.iter_raw())
    assert only(services)["status"] == 499


def test_a_client_that_leaves_once_it_has_its_answer_is_no_499(
    base_url: str, services: FakeServices
) -> None:
    address = urlsplit(base_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert only(services)["status"] == 200


async def test_content_is_written_only_where_it_was_asked_for(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    for keeps_content in (False, True):
        services.logs_content = keeps_content
        await client.post(CHAT, json=chat(n=2, stream=True))
        await client.post("/generate", json={"prompt": "Once"})
        await client.post(LEGACY, json=completion(prompt=[[1, 2], [3]]))
        await client.post("/v1/embeddings", json=embedding(input=["river", "lake"]))
    without, with_content = services.request_log.records[:4], services.request_log.records[4:]
    assert [record.keys() & {"prompts", "answers"} for record in without] == [set()] * 4
    hello = {"text": "Hello world!"}
    assert [(record["prompts"], record["answers"]) for record in with_content] == [
        ([[{"role": "user", "content": "Hi"}]], [hello, hello]),
        (["Once"], [hello]),
        ([(1, 2), (3,)], [hello, hello]),
        (["river", "lake"], []),
    ]


async def test_calls_are_part_of_the_content(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    services.logs_content = True
    backend.script = lambda _: [
        Started(1), ToolCallStarted(0, "call_1", "f"), ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"), Finished("tool_calls", Usage(1, 4)),
    ]  # fmt: skip
    await client.post(CHAT, json=chat(tools=[tool("f")]))
    assert only(services)["answers"] == [{"text": "", "tool_calls": [["f", '{"a":1}']]}]


async def test_the_answer_is_kept_as_far_as_it_came(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    services.logs_content = True
    backend.script = lambda _: [*spoken("Hel", "lo")[:-1], GenerationError("The engine failed.")]
    await client.post(CHAT, json=chat(stream=True))
    assert only(services)["answers"] == [{"text": "Hello"}]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/nowhere", "GET /nowhere 404 in "),
        ("/a%0Ab%1b[2J?key=sesame", "GET /a%0Ab%1B%5B2J 404 in "),
        (f"/{'x' * 5000}", f"GET /{'x' * 99}… 404 in "),
        ("/health", "GET /health 200 in "),
    ],
)
async def test_a_line_for_people_has_the_address_and_can_forge_no_other(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, path: str, shown: str
) -> None:
    with caplog.at_level(logging.INFO, "llm_api.requests"):
        await client.get(path)
    [line] = [one.getMessage() for one in caplog.records if one.name == "llm_api.requests"]
    assert line.startswith(shown)
    assert line.isprintable()


async def test_a_line_for_people_has_the_model_and_its_tokens(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "llm_api.requests"):
        await client.post(CHAT, json=chat())
    [line] = [one.getMessage() for one in caplog.records if one.name == "llm_api.requests"]
    assert line.startswith(f"POST {CHAT} 200 in ")
    assert line.endswith(f"{MODEL_ID}, 5 + 3 tokens")


async def test_no_line_is_written_for_programs(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.get("/health")
    assert [one for one in caplog.records if one.name == "llm_api.requests"] == []
