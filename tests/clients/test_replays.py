"""Requests as real clients have sent them are answered as they were then.

`python -m scripts.clients --record tests/clients/recorded` records them anew.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types import RawMessageStreamEvent
from ollama import ChatResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from scripts.clients.catalogue import CLIENTS
from scripts.clients.recorded import Recorded, Replay, read_records
from scripts.clients.whole import text_of, whole_answer

FOLDER = Path(__file__).parent / "recorded"
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
FORMS: dict[str, tuple[TypeAdapter[Any], TypeAdapter[Any]]] = {
    "/v1/responses": (TypeAdapter(Response), TypeAdapter(ResponseStreamEvent)),
    "/v1/chat/completions": (TypeAdapter(ChatCompletion), TypeAdapter(ChatCompletionChunk)),
    "/v1/messages": (TypeAdapter(AnthropicMessage), TypeAdapter(RawMessageStreamEvent)),
    "/api/chat": (TypeAdapter(ChatResponse), TypeAdapter(ChatResponse)),
}
"""By path: the whole answer, and a piece of a stream."""


@pytest.fixture
def server(scripted_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=scripted_url, timeout=60) as client:
        yield client


def ask(server: httpx2.Client, replay: Replay, recorded: Recorded) -> httpx2.Response:
    content = None if recorded.body is None else replay.filled(json.dumps(recorded.body))
    return server.request(
        recorded.method, replay.filled(recorded.path), headers=recorded.headers, content=content
    )


def check_form(path: str, answer: httpx2.Response) -> dict[str, Any]:
    """The whole answer. It, and of a stream each piece, has the form of the official types."""
    whole, piece = FORMS.get(path.partition("?")[0], (ANYTHING, ANYTHING))
    if answer.is_error:
        whole = ANYTHING
    if answer.headers["content-type"].startswith("application/json"):
        whole.validate_json(answer.content, strict=True)
    else:
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines()]
        pieces = [line for line in lines if line.startswith("{")]
        for one in pieces:
            piece.validate_json(one, strict=True)
        check_order([json.loads(one) for one in pieces])
    return whole_answer(answer.text)


def check_order(pieces: list[dict[str, Any]]) -> None:
    """The events of Responses are numbered, and the first and the last are known."""
    if "sequence_number" in pieces[0]:
        assert [one["sequence_number"] for one in pieces] == list(range(len(pieces)))
        ends = (pieces[0]["type"], pieces[-1]["type"])
        assert ends == ("response.created", "response.completed")


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_recorded_requests_are_answered_as_they_were(server: httpx2.Client, name: str) -> None:
    replay = Replay()
    for recorded in read_records((FOLDER / f"{name}.json").read_text(encoding="utf-8")):
        answer = ask(server, replay, recorded)
        assert answer.status_code == recorded.status, answer.text
        found = check_form(recorded.path, answer)
        replay.take(recorded, found)
        assert text_of(found) == replay.filled(recorded.says)


def test_the_records_are_of_the_versions_that_are_pinned() -> None:
    recorded = {path.stem: json.loads(path.read_text())["client"] for path in FOLDER.glob("*.json")}
    assert recorded.keys() >= {"ai-sdk", "claude-code", "codex", "langchain", "opencode"}
    assert recorded.items() <= {client.name: client.version for client in CLIENTS}.items()
