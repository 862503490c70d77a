"""Keys, prompts and documents are in no log and in no error, at the default level."""

import logging

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.policy import Access
from llm_api.core.access.keys import Limits, digest_of
from llm_api.core.errors import GenerationError, OverloadedError
from tests.api.bodies import chat, completion, embedding
from tests.api.keyed import SECRET, api_key, keyed_app, limiter_at_rest
from tests.core.embeddings.fake_encoder import FakeEncoder
from tests.fakes import FakeBackend, FakeServices, Script, Step, spoken
from tests.live import live_server

WRONG = "sk-llm-planted-wrong"
PROMPT = "planted prompt"
DOCUMENT = "planted document"
PLANTED = (SECRET, WRONG, digest_of(SECRET), digest_of(WRONG), PROMPT, DOCUMENT)

CHAT = "/v1/chat/completions"
SAID = [{"role": "user", "content": PROMPT}]
REQUESTS: list[tuple[str, dict[str, object]]] = [
    (CHAT, chat(messages=SAID)),
    (CHAT, chat(messages=SAID, stream=True)),
    (CHAT, chat(messages=SAID, model="unknown")),
    (CHAT, chat(messages=SAID, n=99, stop=[PROMPT] * 9)),
    (CHAT, chat(messages=[{"role": PROMPT, "content": PROMPT}])),
    (CHAT, chat(messages=PROMPT)),
    ("/v1/completions", completion(prompt=PROMPT)),
    ("/v1/completions", completion(prompt=[PROMPT, 1])),
    ("/v1/embeddings", embedding(input=DOCUMENT)),
    ("/v1/embeddings", embedding(input=[DOCUMENT, ""])),
    ("/v1/embeddings", embedding(input=DOCUMENT * 100)),
    ("/v1/embeddings", embedding(input={"text": DOCUMENT})),
    ("/v1/functions/none", {"arguments": {"text": PROMPT}}),
]
ANSWERS: list[list[Step]] = [
    spoken("an answer"),
    [GenerationError("The engine failed.")],
    [OverloadedError("Full.", retry_after_seconds=1)],
    [ValueError("a bug")],
]


def playing(steps: list[Step]) -> Script:
    return lambda _: steps


def served(services: FakeServices) -> FastAPI:
    """The API for a key that is soon at its limit."""
    access = Access(limiter=limiter_at_rest(), allowed_hosts=None)
    return keyed_app(services, api_key(limits=Limits(tokens_per_minute=4000)), access=access)


def test_what_is_secret_is_in_no_log_and_in_no_error(
    services: FakeServices,
    backend: FakeBackend,
    encoder: FakeEncoder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bodies, statuses = [], set()
    with (
        caplog.at_level(logging.INFO),
        live_server(served(services)) as url,
        httpx2.Client(base_url=url) as client,
    ):
        for steps in ANSWERS:
            backend.script = playing(steps)
            encoder.failure = next((x for x in steps if isinstance(x, ValueError)), None)
            for secret in (SECRET, WRONG):
                for path, body in REQUESTS:
                    response = client.post(path, json=body, headers={"x-api-key": secret})
                    statuses.add(response.status_code)
                    bodies.append(response.text + str(response.headers))
        raw = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}
        bodies.append(client.post(CHAT, content=f'{{"{PROMPT}"', headers=raw).text)
    assert {200, 400, 401, 404, 429, 500} <= statuses
    assert len(caplog.records) > 5
    texts = [record.getMessage() + str(record.exc_text) for record in caplog.records]
    texts += map(str, services.request_log.records)
    for planted in PLANTED:
        assert [text for text in bodies if planted in text] == []
        assert [text for text in (*texts, caplog.text) if planted in text] == []


def test_what_is_planted_would_be_found(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("llm_api").info("asked: %s", PROMPT)
    assert PROMPT in caplog.text
