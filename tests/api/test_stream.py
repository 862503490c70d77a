"""Streams over a real socket: the exact frames, keep-alives, failures, and clients that leave."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from openai.types.chat import ChatCompletionChunk

from llm_api.core.errors import GenerationError, OverloadedError
from llm_api.core.llm.types import Finished, GenerationRequest, Started, TextDelta, Usage
from tests.api.bodies import chat, completion
from tests.fakes import FakeBackend, Step, endless, sampled, spoken
from tests.live import wait_until

CHAT = "/v1/chat/completions"
LEGACY = "/v1/completions"
ABORT_SECONDS = 20.0  # two on a machine that does nothing else; the answers take minutes


def frames(base_url: str, path: str = CHAT, **fields: object) -> list[str]:
    """The events of a stream, as they were sent."""
    body = (chat if path == CHAT else completion)(stream=True, **fields)
    response = httpx2.post(base_url + path, json=body, timeout=10)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-request-id"].startswith("req_")
    assert response.text.endswith("\n\n")
    assert "\r" not in response.text
    return response.text.removesuffix("\n\n").split("\n\n")


def parsed(frame: str) -> dict[str, Any]:
    return dict(json.loads(frame.removeprefix("data: ")))


def chunks(base_url: str, **fields: object) -> list[dict[str, Any]]:
    """The chunks of a stream that ends well, valid by the official SDK's own types."""
    *most, done = frames(base_url, CHAT, **fields)
    assert done == "data: [DONE]"
    for frame in most:
        ChatCompletionChunk.model_validate_json(frame.removeprefix("data: "), strict=True)
    return [parsed(frame) for frame in most]


def test_a_stream_is_role_text_reason_done(base_url: str) -> None:
    streamed = chunks(base_url)
    heads = [{k: v for k, v in chunk.items() if k != "choices"} for chunk in streamed]
    assert all(head == heads[0] for head in heads)
    assert sorted(heads[0]) == ["created", "id", "model", "object", "system_fingerprint"]
    assert heads[0]["object"] == "chat.completion.chunk"

    def choice(delta: dict[str, str], finish_reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]

    assert [chunk["choices"] for chunk in streamed] == [
        choice({"role": "assistant", "content": ""}),
        choice({"content": "Hello"}),
        choice({"content": " world"}),
        choice({"content": "!"}),
        choice({}, "stop"),
    ]


def test_usage_is_null_until_the_last_chunk_if_asked_for(base_url: str) -> None:
    *most, last = chunks(base_url, stream_options={"include_usage": True})
    assert len(most) == 5
    assert all(chunk["usage"] is None for chunk in most)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 8
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 2


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
def test_usage_is_absent_if_not_asked_for(base_url: str, options: object) -> None:
    assert all("usage" not in chunk for chunk in chunks(base_url, stream_options=options))


def test_the_service_tier_is_on_every_chunk_if_asked_for(base_url: str) -> None:
    assert {chunk["service_tier"] for chunk in chunks(base_url, service_tier="default")} == {
        "default"
    }


def test_several_choices_keep_apart_by_index(base_url: str, backend: FakeBackend) -> None:
    backend.script = lambda request: spoken(f"{request.sampling.seed}", "!", pause_seconds=0.01)
    texts, reasons, roles = ["", ""], [], []
    for chunk in chunks(base_url, n=2, seed=8):
        [choice] = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
        roles += [choice["index"]] if "role" in choice["delta"] else []
        reasons += [choice["index"]] if choice["finish_reason"] else []
    assert texts == ["8!", "9!"]
    assert sorted(roles) == sorted(reasons) == [0, 1]


def test_logprobs_go_with_their_text(base_url: str, backend: FakeBackend) -> None:
    backend.script = lambda _: [
        Started(1), TextDelta("Hi", (sampled(b"Hi"),)), TextDelta("", (sampled(b""),)),
        TextDelta(""), Finished("stop", Usage(1, 2)),
    ]  # fmt: skip
    logprobs = [chunk["choices"][0]["logprobs"] for chunk in chunks(base_url, logprobs=True)]
    assert [part and [token["token"] for token in part["content"]] for part in logprobs] == [
        None, ["Hi"], [""], None,
    ]  # fmt: skip


MID_STREAM: list[tuple[list[Step], str]] = [
    ([GenerationError("The engine failed.")], "generation_failed"),
    ([OverloadedError("Full.", retry_after_seconds=1)], "queue_full"),
    ([ValueError("the secret detail")], "internal_error"),
    ([], "generation_failed"),
]


@pytest.mark.parametrize("path", [CHAT, LEGACY])
@pytest.mark.parametrize(("ending", "code"), MID_STREAM, ids=["core", "late", "bug", "cut"])
def test_a_failure_in_mid_stream_is_a_frame_and_the_end(
    base_url: str, backend: FakeBackend, path: str, ending: list[Step], code: str
) -> None:
    backend.script = lambda _: [*spoken("Hel", "lo")[:-1], *ending]
    *before, last = frames(base_url, path)
    assert [parsed(frame)["choices"][0]["finish_reason"] for frame in before][-1] is None
    error = parsed(last)["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["code"] == code
    assert "secret" not in last


def test_a_stream_with_one_choice_cut_is_no_success(base_url: str, backend: FakeBackend) -> None:
    def script(request: GenerationRequest) -> list[Step]:
        return spoken("a") if request.sampling.seed == 0 else spoken("b")[:-1]

    backend.script = script
    assert parsed(frames(base_url, n=2, seed=0)[-1])["error"]["code"] == "generation_failed"


def test_a_refusal_of_one_choice_comes_before_the_headers(
    base_url: str, backend: FakeBackend
) -> None:
    def script(request: GenerationRequest) -> list[Step]:
        if request.sampling.seed == 0:
            return spoken("a")
        return [0.05, OverloadedError("Full.", retry_after_seconds=1)]

    backend.script = script
    response = httpx2.post(base_url + CHAT, json=chat(n=2, seed=0, stream=True))
    assert response.status_code == 429


def test_comments_keep_a_silent_stream_alive(base_url: str, backend: FakeBackend) -> None:
    backend.script = lambda _: [Started(1), 0.5, *spoken("late")[1:]]
    events = frames(base_url)
    assert events.count(": ping") >= 2
    assert parsed(events[0])["choices"][0]["delta"]["role"] == "assistant"
    assert events[-1] == "data: [DONE]"


def send(base_url: str, path: str, body: dict[str, object]) -> socket.socket:
    """A request on a bare socket, so that the moment of leaving is ours."""
    address = urlsplit(base_url)
    assert address.hostname
    connection = socket.create_connection(
        (address.hostname, address.port or 80), timeout=ABORT_SECONDS
    )
    payload = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    connection.sendall(head.encode() + payload)
    return connection


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("path", [CHAT, LEGACY])
def test_leaving_a_stream_aborts_its_generation(
    base_url: str, backend: FakeBackend, path: str, n: int
) -> None:
    backend.script = endless
    body = (chat if path == CHAT else completion)(stream=True, n=n)
    with send(base_url, path, body) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK")
        wait_until(lambda: len(backend.requests) == n)
        assert backend.aborted == []
    assert wait_until(lambda: len(backend.aborted) == n) < ABORT_SECONDS
    assert httpx2.get(base_url + "/health").status_code == 200


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("path", [CHAT, LEGACY])
def test_leaving_before_the_answer_aborts_its_generation(
    base_url: str, backend: FakeBackend, path: str, n: int
) -> None:
    backend.script = endless
    with send(base_url, path, (chat if path == CHAT else completion)(n=n)):
        wait_until(lambda: len(backend.requests) == n)
        assert backend.aborted == []
    assert wait_until(lambda: len(backend.aborted) == n) < ABORT_SECONDS


def test_leaving_a_stream_that_waits_for_admission_aborts_it(
    base_url: str, backend: FakeBackend
) -> None:
    backend.script = lambda _: [60.0, *spoken("never")]
    with send(base_url, CHAT, chat(stream=True, n=2)):
        wait_until(lambda: len(backend.requests) == 2)
    assert wait_until(lambda: len(backend.aborted) == 2) < ABORT_SECONDS


def test_health_answers_while_a_stream_runs(base_url: str, backend: FakeBackend) -> None:
    backend.script = endless
    with send(base_url, CHAT, chat(stream=True)) as connection:
        connection.recv(4096)
        assert httpx2.get(base_url + "/health").json()["status"] == "healthy"
