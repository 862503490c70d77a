"""The plain endpoints: what goes in, what comes out, and what is refused."""

from dataclasses import replace

import httpx2
import pytest

from llm_api.core.errors import OverloadedError
from llm_api.core.llm.backend import GenerationDefaults, ModelCard
from llm_api.core.llm.capabilities import EVERYTHING
from llm_api.core.llm.types import ChatPrompt, Message, Sampling, TextPrompt
from tests.api.test_bad_input import assert_envelope
from tests.fakes import ALIAS, CARD, MODEL_ID, FakeBackend, FakeModels, FakeServices, spoken
from tests.live import wait_until

SECOND = ModelCard(id="second", created=1, owned_by="acme", context_length=8)


async def generated(client: httpx2.AsyncClient, **fields: object) -> dict[str, object]:
    response = await client.post("/generate", json={"prompt": "Once", **fields})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_generate_continues_the_prompt_as_it_stands(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    body = await generated(client, max_new_tokens=7)
    assert 0 < float(str(body.pop("duration_seconds"))) < 5
    usage = body.pop("usage")
    assert isinstance(usage, dict)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 3)
    assert body == {
        "response": "Hello world!",
        "generated_text": "Hello world!",
        "model": MODEL_ID,
        "finish_reason": "stop",
    }
    [request] = backend.requests
    assert (request.prompt, request.max_tokens) == (TextPrompt("Once"), 7)


async def test_the_duration_counts_the_generation(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("slow", pause_seconds=0.1)
    assert 0.1 <= float(str((await generated(client))["duration_seconds"])) < 5


async def test_what_steers_a_generation_arrives(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    await generated(client, temperature=0.5, top_p=0.9, top_k=40, seed=7, stop=["\n", "\n", "."])
    [request] = backend.requests
    assert request.sampling == Sampling(temperature=0.5, top_p=0.9, top_k=40, seed=7)
    assert request.stop == ("\n", ".")


async def test_what_is_not_said_is_the_model_s_default(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    backend = FakeBackend(card=replace(CARD, defaults=GenerationDefaults(9, 1.5)))
    services.models = FakeModels([backend])
    await generated(client)
    await client.post("/chat", json={"prompt": "Hi"})
    continued, answered = backend.requests
    assert (continued.max_tokens, continued.sampling) == (50, Sampling(temperature=1.5))
    assert (answered.max_tokens, answered.sampling) == (9, Sampling(temperature=1.5))


@pytest.mark.parametrize("name", ["max_new_tokens", "max_tokens", "max_length"])
async def test_the_length_goes_by_any_of_its_names(
    client: httpx2.AsyncClient, backend: FakeBackend, name: str
) -> None:
    await generated(client, **{name: 200})
    assert backend.requests[0].max_tokens == 200
    response = await client.post("/generate", json={"prompt": "Once", name: 201})
    error = assert_envelope(response)
    assert (response.status_code, error["param"]) == (400, name)
    assert "200" in error["message"]
    assert "GENERATE_MAX_TOKENS" in error["message"]


async def test_names_of_the_length_may_agree(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    await generated(client, max_new_tokens=9, max_tokens=9, max_length=9)
    assert backend.requests[0].max_tokens == 9


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_new_tokens": 8, "max_tokens": 9}, "max_tokens"),
        ({"max_new_tokens": 8, "max_length": 9}, "max_length"),
        ({"max_tokens": 8, "max_length": 9}, "max_length"),
    ],
)
async def test_names_of_the_length_that_differ_are_refused(
    client: httpx2.AsyncClient, backend: FakeBackend, fields: dict[str, int], param: str
) -> None:
    response = await client.post("/generate", json={"prompt": "Once", **fields})
    error = assert_envelope(response)
    assert (response.status_code, error["param"]) == (400, param)
    assert "mean the same" in error["message"]
    assert backend.requests == []


async def test_a_bound_below_the_default_is_the_default(
    client: httpx2.AsyncClient, services: FakeServices, backend: FakeBackend
) -> None:
    services.generate_max_tokens = 20
    await generated(client)
    assert backend.requests[0].max_tokens == 20


async def test_a_model_that_only_converses_is_asked_in_a_conversation(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    converses = replace(EVERYTHING, abilities=EVERYTHING.abilities - {"text", "tokens"})
    backend = FakeBackend(card=replace(CARD, capabilities=converses))
    services.models = FakeModels([backend])
    await generated(client)
    assert backend.requests[0].prompt == ChatPrompt((Message("user", "Once"),))


async def test_chat_is_the_only_turn_of_a_conversation(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    body = {"prompt": "Hi", "temperature": 0, "max_tokens": 1000}
    response = await client.post("/chat", json=body)
    assert (response.status_code, response.json()) == (200, {"response": "Hello world!"})
    [request] = backend.requests
    assert request.prompt == ChatPrompt((Message("user", "Hi"),))
    assert (request.max_tokens, request.sampling) == (1000, Sampling(temperature=0))


@pytest.mark.parametrize("path", ["/generate", "/chat", "/chat/stream"])
async def test_the_first_model_answers_unless_another_is_named(
    client: httpx2.AsyncClient, services: FakeServices, path: str
) -> None:
    first, second = FakeBackend(), FakeBackend(card=SECOND)
    services.models = FakeModels([first, second])
    for name in (None, "second", ALIAS):
        response = await client.post(path, json={"prompt": "Hi", "model": name})
        assert response.status_code == 200
    assert (len(first.requests), len(second.requests)) == (2, 1)


@pytest.mark.parametrize("path", ["/generate", "/chat", "/chat/stream"])
@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": None}, "prompt", "invalid_type"),
        ({"prompt": ["Hi"]}, "prompt", "invalid_type"),
        ({"model": ""}, "model", "invalid_value"),
        ({"model": "nope"}, "model", "model_not_found"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"do_sample": True}, "do_sample", "unsupported_parameter"),
        ({"messages": []}, "messages", "unsupported_parameter"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    path: str,
    fields: dict[str, object],
    param: str,
    code: str,
) -> None:
    response = await client.post(path, json={"prompt": "Hi", **fields})
    error = assert_envelope(response)
    assert response.status_code == (404 if code == "model_not_found" else 400)
    assert (error["param"], error["code"]) == (param, code)
    assert backend.requests == []


@pytest.mark.parametrize("path", ["/generate", "/chat", "/chat/stream"])
async def test_a_full_queue_is_told_before_the_answer_begins(
    client: httpx2.AsyncClient, backend: FakeBackend, path: str
) -> None:
    backend.script = lambda _: [OverloadedError("Full.", retry_after_seconds=2)]
    response = await client.post(path, json={"prompt": "Hi"})
    assert assert_envelope(response)["code"] == "queue_full"
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")


@pytest.mark.parametrize("path", ["/generate", "/chat"])
def test_a_client_that_leaves_ends_the_generation(
    base_url: str, backend: FakeBackend, path: str
) -> None:
    backend.script = lambda _: spoken(*["more "] * 1000, pause_seconds=0.02)
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(base_url + path, json={"prompt": "Hi"}, timeout=0.2)
    wait_until(lambda: len(backend.aborted) == 1)
    assert backend.completed == []
