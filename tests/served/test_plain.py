"""The plain endpoints with the default model, and the log that they leave."""

import json
from pathlib import Path
from typing import Any

import httpx2

from llm_api.config.settings import Settings
from llm_api.core.llm.files.gguf import read_gguf
from llm_api.core.llm.files.installed import default_model_path
from llm_api.main import create_app
from scripts.client_demo import CHECKS, try_all
from tests.core.llm.tiny_gguf import write_gguf
from tests.live import live_server, wait_until
from tests.served.conftest import ALIAS, MODEL

QUESTION = {"prompt": "Name the capital of France.", "temperature": 0, "max_tokens": 12}


def test_generate_continues_as_completions_do(http: httpx2.Client) -> None:
    prompt = "The capital of France is"
    body = http.post(
        "/generate", json={"prompt": prompt, "max_new_tokens": 8, "temperature": 0}
    ).json()
    same = {"model": MODEL, "prompt": prompt, "max_tokens": 8, "temperature": 0}
    completion = http.post("/v1/completions", json=same).json()
    [choice] = completion["choices"]
    assert body["response"] == body["generated_text"] == choice["text"] != ""
    assert body["finish_reason"] == choice["finish_reason"]
    assert body["usage"]["completion_tokens"] == completion["usage"]["completion_tokens"]
    assert (body["model"], body["duration_seconds"] > 0) == (MODEL, True)


def test_chat_answers_as_chat_completions_do_whole_or_streamed(http: httpx2.Client) -> None:
    answer = http.post("/chat", json=QUESTION).json()
    streamed = http.post("/chat/stream", json=QUESTION)
    same = {
        "model": ALIAS,
        "messages": [{"role": "user", "content": QUESTION["prompt"]}],
        "temperature": 0,
        "max_tokens": 12,
    }
    completion = http.post("/v1/chat/completions", json=same).json()
    assert answer == {"response": completion["choices"][0]["message"]["content"]}
    assert streamed.text == answer["response"]
    assert len(streamed.text) > 0


def test_the_text_is_streamed_token_by_token(http: httpx2.Client) -> None:
    with http.stream("POST", "/chat/stream", json=QUESTION) as response:
        pieces = list(response.iter_raw())
    assert 3 <= len(pieces) <= 12


def test_a_prompt_that_does_not_fit_is_refused(http: httpx2.Client) -> None:
    for path in ("/generate", "/chat", "/chat/stream"):
        response = http.post(path, json={"prompt": "word " * 2000})
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "context_length_exceeded"


def test_model_info_is_what_the_file_says(http: httpx2.Client) -> None:
    file = read_gguf(default_model_path())
    for query in ({}, {"model": ALIAS}):
        info = http.get("/model-info", params=query).json()
        assert info == {
            "name": MODEL,
            "backend": "llama",
            "architecture": "llama",
            "parameters": file.parameter_count,
            "quantisation": "Q4_1",
            "weights": default_model_path().name,
            "context_length": 1024,
            "training_context_length": file.context_length,
            "size_bytes": default_model_path().stat().st_size,
            "loaded": True,
            "state": "loaded",
        }
    assert 134_000_000 < file.parameter_count < 136_000_000
    assert http.get("/model-info", params={"model": "nope"}).status_code == 404


def test_every_answer_leaves_one_line_in_the_log(http: httpx2.Client, request_log: Path) -> None:
    answers = [
        http.post("/chat", json=QUESTION),
        http.post("/chat/stream", json=QUESTION),
        http.get("/nowhere"),
    ]

    ids = [answer.headers["x-request-id"] for answer in answers]

    def lines() -> dict[str, dict[str, Any]]:
        records = map(json.loads, request_log.read_text().splitlines())
        return {record["id"]: record for record in records}

    wait_until(lambda: set(ids) <= lines().keys())
    whole, streamed, lost = (lines()[one] for one in ids)
    assert (whole["endpoint"], streamed["endpoint"], lost["endpoint"]) == (
        "/chat", "/chat/stream", None,
    )  # fmt: skip
    for record in (whole, streamed):
        assert (record["model"], record["backend"], record["status"]) == (MODEL, "llama", 200)
        assert 0 < record["completion_tokens"] <= 12
        assert record["cached_tokens"] < record["prompt_tokens"] < 60
        assert 0 <= record["queue_seconds"] < record["first_token_seconds"]
        assert record["first_token_seconds"] < record["total_seconds"]
    assert streamed["cached_tokens"] > 0
    assert "France" not in request_log.read_text()


PLANTED = """
models: {m: {path: m.gguf}}
mcp_servers:
  there: {url: "http://u:sesame@127.0.0.1:9/sesame?k=sesame", headers: {Authorization: sesame}}
  here: {command: /nowhere/at/all, args: [sesame], env: {TOKEN: sesame}}
"""


def test_the_configuration_holds_no_secret(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    (tmp_path / "config.yaml").write_text(PLANTED)
    url = "http://u:sesame@10.0.0.1:1234/sesame?k=sesame"
    settings = Settings.model_validate(
        {
            "config_file": tmp_path / "config.yaml",
            "log_file": tmp_path / "log.jsonl",
            "embedding_url": url,
            "embedding_api_key": "sesame",
            "qdrant_url": url,
            "qdrant_api_key": "sesame",
            "qdrant_use_memory": True,
        }
    )
    with live_server(create_app(settings)) as served:
        answer = httpx2.get(f"{served}/config")
        health = httpx2.get(f"{served}/health").json()
    assert answer.status_code == 200
    assert "sesame" not in answer.text
    shown = answer.json()
    assert shown["settings"]["EMBEDDING_URL"] == "http://10.0.0.1:1234/***"
    assert shown["settings"]["EMBEDDING_API_KEY"] == "***"
    assert shown["models"]["m"]["path"] == "m.gguf"
    assert shown["mcp_servers"]["here"]["command"] == "/nowhere/at/all"
    assert (health["backend"], health["model"]) == ("llama", "m")
    assert "sesame" not in (tmp_path / "log.jsonl").read_text()


def test_a_log_that_cannot_be_written_fails_no_request(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    (tmp_path / "config.yaml").write_text("models: {m: {path: m.gguf}}")
    (tmp_path / "logs").write_text("a file where the folder should be")
    log = tmp_path / "logs" / "log.jsonl"
    settings = Settings(config_file=tmp_path / "config.yaml", log_file=log)
    with live_server(create_app(settings)) as served:

        def log_health() -> dict[str, Any]:
            answer = httpx2.get(f"{served}/health")
            assert answer.status_code == 200
            return dict(answer.json()["request_log"])

        wait_until(lambda: log_health()["problem"] is not None)
        assert log_health()["dropped"] > 0
        (tmp_path / "logs").unlink()
        wait_until(lambda: log_health()["problem"] is None)
    assert json.loads(log.read_text().splitlines()[-1])["endpoint"] == "/health"


def test_the_demo_client_passes_every_endpoint_and_leaves_nothing_behind(
    http: httpx2.Client,
) -> None:
    outcomes = list(try_all(http))
    not_passed = [
        (one.endpoint, one.result, one.detail) for one in outcomes if one.result != "passed"
    ]
    assert not_passed == [("POST /infill", "skipped", "the model has no fill-in tokens")]
    assert [one.endpoint for one in outcomes] == list(CHECKS)
    names = [one["name"] for one in http.get("/v1/rag/collections").json()["data"]]
    assert "client-demo" not in names
