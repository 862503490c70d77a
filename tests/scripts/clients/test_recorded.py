"""Requests become fixtures that can be sent again."""

import json
from pathlib import Path

from scripts.clients.recorded import Recorder, Replay, made_by_server, read_records
from scripts.clients.relay import Exchange

MACHINE = "0f6e1a52-97a4-4a36-9d26-6d5ee1c8a1c1"
INSTRUCTIONS = "Be brief. " * 50


def exchange(answer: object, **body: object) -> Exchange:
    headers = {"authorization": "Bearer secret", "content-type": "application/json"}
    return Exchange(
        "POST",
        "/v1/responses",
        headers,
        json.dumps(body).encode(),
        200,
        json.dumps(answer).encode(),
    )


FIRST = exchange(
    {"id": "resp_abc", "output": [{"id": "rs_def", "encrypted_content": "gAAA"}]},
    instructions=INSTRUCTIONS,
    input=f"In /tmp/place/work of {MACHINE}",
)
SECOND = exchange(
    {"id": "resp_ghi", "output": []},
    instructions=INSTRUCTIONS,
    previous_response_id="resp_abc",
    input=[{"encrypted_content": "gAAA"}, MACHINE],
)


def recorded() -> str:
    return Recorder(Path("/tmp/place")).records("client 1.0", [FIRST, SECOND])  # noqa: S108


def test_secrets_paths_and_chance_are_left_out() -> None:
    text = recorded()
    for private in ("secret", "/tmp/place", MACHINE, "resp_abc", "gAAA"):  # noqa: S108
        assert private not in text
    assert text.count(INSTRUCTIONS) == 1


def test_a_record_is_read_whole() -> None:
    first, second = read_records(recorded())
    assert first.body["instructions"] == second.body["instructions"] == INSTRUCTIONS
    assert first.headers == {"content-type": "application/json"}
    assert second.body["input"][1] in first.body["input"]
    assert list(first.made) == ["id", "output.0.id", "output.0.encrypted_content"]


def test_what_another_server_makes_up_takes_the_place_of_what_was_recorded() -> None:
    first, second = read_records(recorded())
    replay = Replay()
    answer = {"id": "resp_1", "output": [{"id": "rs_2", "encrypted_content": "sealed"}]}
    replay.take(first, answer)
    body = json.loads(replay.filled(json.dumps(second.body)))
    assert body["previous_response_id"] == "resp_1"
    assert body["input"][0] == {"encrypted_content": "sealed"}


def test_ids_of_tools_are_not_the_server_s() -> None:
    answer = {"id": "resp_1", "tools": [{"id": "x"}], "data": [{"call_id": "c", "name": "n"}]}
    assert made_by_server(answer) == {"id": "resp_1", "data.0.call_id": "c"}


def test_long_texts_may_be_cut() -> None:
    text = Recorder(Path("/tmp/place"), shortens=True).records("client 1.0", [FIRST])  # noqa: S108
    [first] = read_records(text)
    assert first.body["instructions"] == "Be brief. " * 12 + "..."
