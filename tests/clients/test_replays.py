"""Requests as real clients have sent them are answered as they were then.

`python -m scripts.clients --record tests/clients/recorded` records them anew.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from scripts.clients.catalogue import CLIENTS
from scripts.clients.recorded import Recorded, Replay, final_object, read_records, text_of

FOLDER = Path(__file__).parent / "recorded"
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture
def server(scripted_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=scripted_url, timeout=60) as client:
        yield client


def ask(server: httpx2.Client, replay: Replay, recorded: Recorded) -> httpx2.Response:
    content = None if recorded.body is None else replay.filled(json.dumps(recorded.body))
    return server.request(
        recorded.method, replay.filled(recorded.path), headers=recorded.headers, content=content
    )


def check_form(answer: httpx2.Response) -> dict[str, Any]:
    """The final object. Its form, and of a stream that of each event, is the official one."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        datas = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        events = [EVENT.validate_json(data, strict=True) for data in datas]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    found = final_object(answer.text)
    if found.get("object") == "response" and "output" in found:
        Response.model_validate_json(json.dumps(found), strict=True)
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_recorded_requests_are_answered_as_they_were(server: httpx2.Client, name: str) -> None:
    replay = Replay()
    for recorded in read_records((FOLDER / f"{name}.json").read_text(encoding="utf-8")):
        answer = ask(server, replay, recorded)
        assert answer.status_code == recorded.status, answer.text
        found = check_form(answer)
        replay.take(recorded, found)
        assert text_of(found) == replay.filled(recorded.says)


def test_the_records_are_of_the_versions_that_are_pinned() -> None:
    recorded = {path.stem: json.loads(path.read_text())["client"] for path in FOLDER.glob("*.json")}
    assert recorded.keys() >= {"ai-sdk", "codex", "langchain", "openai-agents"}
    assert recorded.items() <= {client.name: client.version for client in CLIENTS}.items()
