"""What a client sees of a working server: health, disconnects, bad input, streams on the wire."""

import json
import socket
import threading
import time
from contextlib import ExitStack
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.api.raw import post
from tests.exposition import Scrape
from tests.live import wait_until
from tests.served.conftest import MODEL

LONG = {
    "model": MODEL,
    "prompt": "Once upon a time",
    "max_tokens": 900,
    "ignore_eos": True,
}


def in_engine(http: httpx2.Client) -> float:
    """How many requests the engine computes or has waiting."""
    seen = Scrape(http.get("/metrics").text)
    return sum(number for _, number in seen.samples("llm_api_engine_requests"))


def shown_engine(http: httpx2.Client) -> Any:
    return http.get("/v1/engine").json()


def test_health_answers_at_once_while_a_generation_runs(http: httpx2.Client) -> None:
    running = threading.Thread(target=lambda: http.post("/v1/completions", json=LONG))
    running.start()
    wait_until(lambda: in_engine(http) == 1)
    seconds = []
    with httpx2.Client(base_url=http.base_url) as other:
        for _ in range(30):
            began = time.monotonic()
            response = other.get("/health")
            seconds.append(time.monotonic() - began)
            assert response.json()["status"] == "healthy"
        assert running.is_alive(), "the generation was still running"
    assert median(seconds) < 0.25  # a few milliseconds, on a machine that does nothing else
    running.join()


def test_a_real_prompt_is_told_as_it_is_read_and_the_engine_shows_it(http: httpx2.Client) -> None:
    words = " ".join(str(number) for number in range(180))
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"{time.time_ns()} {words}"}],
        "max_tokens": 4,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
    }
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: {")]
        request_id = answer.headers["x-request-id"]
    frames = [json.loads(line.removeprefix("data: ")) for line in lines]
    told = [one["prompt_progress"] for one in frames if "prompt_progress" in one]
    assert told[-1]["processed"] == told[-1]["total"] == frames[-1]["usage"]["prompt_tokens"]
    assert told[-1]["tokens_per_second"] > 0
    # It is over a moment after its last byte.
    wait_until(lambda: request_id in {one["id"] for one in shown_engine(http)["recent"]})
    shown = shown_engine(http)
    engine = next(one["engine"] for one in shown["models"] if one["id"] == MODEL)
    assert any(run["kind"] == "kept" for slot in engine["slots"] for run in slot["runs"])
    assert sum(engine["history"]["written_tokens"]) >= 4


@pytest.mark.parametrize("stream", [True, False])
def test_a_disconnect_stops_the_generation_soon(
    http: httpx2.Client, served_url: str, stream: bool
) -> None:
    """Five long generations on four places, one of which waits for its place."""
    address = urlsplit(served_url)
    body = json.dumps({**LONG, "stream": stream}).encode()
    with ExitStack() as stack:
        for _ in range(5):
            where = (address.hostname or "", address.port or 80)
            client = stack.enter_context(socket.create_connection(where))
            client.sendall(post("/v1/completions", body))
        wait_until(lambda: in_engine(http) == 5)
    # Two seconds, on a machine that does nothing else; the answers would take half a minute there.
    wait_until(lambda: in_engine(http) == 0, seconds=10)


def test_a_stream_on_the_wire_is_frames_and_done(http: httpx2.Client) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "max_tokens": 5,
    }
    response = http.post("/v1/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-request-id"].startswith("req_")
    frames = response.text.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0]["delta"] == {}
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks[:-1])


def chat_body(**fields: object) -> bytes:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], **fields}
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"not json", None),
        (b"[]", None),
        (b"null", None),
        (b"[" * 100_000, None),
        (b'{"model": "m", "messages": ' + b"[" * 100_000, None),
        (chat_body(messages=[]), "messages"),
        (chat_body(messages=[{"role": "king", "content": "x"}]), "messages[0].role"),
        (chat_body(max_tokens=-2), "max_tokens"),
        (chat_body(temperature="hot"), "temperature"),
        (chat_body(temperature=float("nan")), None),
        (chat_body(messages=[{"role": "user", "content": "\ud800"}]), None),
        (chat_body(messages=[{"role": "user", "content": "long " * 200_000}]), "messages"),
    ],
)
def test_bad_input_is_refused_quickly_and_the_server_stays_well(
    http: httpx2.Client, content: bytes, param: str | None
) -> None:
    began = time.process_time()
    response = http.post(
        "/v1/chat/completions", content=content, headers={"content-type": "application/json"}
    )
    assert time.process_time() - began < 5  # threads of other tests compute meanwhile
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert http.get("/health/ready").status_code == 200


def test_the_documentation_is_served_without_the_internet(http: httpx2.Client) -> None:
    page = http.get("/docs").text
    assert "http://" not in page.replace(str(http.base_url), "")
    assert "https://" not in page


def examples_of(operation: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    """The examples of an operation's request body, which stand with its schema."""
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    component = schema["components"]["schemas"].get(reference.rpartition("/")[2], {})
    return list(component.get("examples", []))


OF_STORES = ("", "/search", "/files", "/files/{file_id}", "/file_batches")
"""What is asked of stores, and of files, that there have to be."""

NOT_HERE = {
    *("/api/pull", "/v1/models/pull"),  # from the hub
    *("/api/copy", "/api/delete", "/v1/models/load", "/v1/models/unload"),  # for administrators
    "/infill",  # for models with fill-in tokens
    *("/v1/keys", "/v1/keys/{name}"),  # for a server with a file of keys
    "/v1/rag/urls",  # of hosts that nobody has allowed
    *(f"/v1/vector_stores/{{vector_store_id}}{rest}" for rest in OF_STORES),
}


def test_every_example_of_the_documentation_runs(http: httpx2.Client) -> None:
    schema = http.get("/openapi.json").json()
    ran = 0
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            names = {
                parameter["name"]: parameter["schema"]["examples"][0]
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "path" and "examples" in parameter["schema"]
            }
            for example in () if path in NOT_HERE else examples_of(operation, schema):
                response = http.request(method, path.format(**names), json=example)
                assert response.status_code == 200, (path, example, response.text)
                ran += 1
    assert ran >= 4
