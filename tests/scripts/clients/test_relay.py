"""What stands between a client and the world."""

import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from scripts.clients.loopback import HOST, serving
from scripts.clients.relay import Exchange, Notes, relay, shut_door
from scripts.clients.scripted import ScriptedModel

ASKED = {"messages": [{"role": "user", "content": "A river?"}]}


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def url(notes: Notes) -> Iterator[str]:
    """The scripted model behind a relay."""
    with serving(ScriptedModel) as port, relay(port, notes) as own_port:
        yield f"http://{HOST}:{own_port}/v1"


def test_requests_and_answers_pass_and_are_noted(url: str, notes: Notes) -> None:
    models = httpx2.get(f"{url}/models")
    answer = httpx2.post(f"{url}/chat/completions", json=ASKED, headers={"x-own": "1"})
    assert models.json()["data"][0]["id"] == "scripted"
    assert [str(one) for one in notes.exchanges] == [
        "GET /v1/models: 200",
        "POST /v1/chat/completions: 200",
    ]
    asked = notes.exchanges[1]
    assert json.loads(asked.body) == ASKED
    assert asked.headers["x-own"] == "1"
    assert asked.answer == answer.content
    assert answer.text.endswith("data: [DONE]\n\n")


def test_a_note_counts_requests_whatever_their_ids() -> None:
    path = "/v1/responses/resp_0123456789abcdef0123?stream=true"
    assert str(Exchange("GET", path, {}, b"", 200)) == "GET /v1/responses/{id}: 200"


def test_the_scripted_model_streams_word_for_word_with_usage(url: str) -> None:
    frames = httpx2.post(f"{url}/chat/completions", json=ASKED).text.split("\n\n")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    words = [choice["delta"].get("content") for one in chunks for choice in one["choices"]]
    assert words[1:-1] == ["1 ", "turns. ", "user: ", "A ", "river?"]
    assert chunks[-1]["usage"]["total_tokens"] == 2 + 6


def test_a_client_that_leaves_in_the_middle_harms_nothing(url: str, notes: Notes) -> None:
    port = int(url.rpartition(":")[2].removesuffix("/v1"))
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 9\r\n\r\n")
    assert httpx2.get(f"{url}/models").status_code == 200
    assert str(notes.exchanges[-1]) == "GET /v1/models: 200"


def test_what_goes_to_the_door_ends_there_and_is_named(notes: Notes) -> None:
    with (
        shut_door(notes) as door,
        httpx2.Client(proxy=f"http://{HOST}:{door}") as client,
        pytest.raises(httpx2.ProxyError),
    ):
        client.get("https://example.com/telemetry")
    assert notes.outside == ["example.com:443"]
