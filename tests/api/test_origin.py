"""Who answered: in the headers, and in the answer itself."""

import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from llm_api.api.origin import AnswerOrigin, origin
from llm_api.core.errors import UnavailableError
from llm_api.core.llm.gateway.routing.fallback import FallbackBackend
from llm_api.core.llm.types import GenerationRequest, ServedBy, TextPrompt
from tests.fakes import CARD, MODEL_ID, FakeBackend, FakeServices, Script, Step, hello

HELLO = GenerationRequest(TextPrompt("Hello"), 5)
CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
ROUTES = [("/v1/chat/completions", CHAT), ("/v1/completions", {"prompt": "Hi"})]


def gone(_: GenerationRequest) -> list[Step]:
    return [UnavailableError("gone")]


def stood_in_for(services: FakeServices, script: Script = gone) -> None:
    stub = FakeBackend(card=replace(CARD, id="echo", backend="stub"))
    services.models.backends = [FallbackBackend(FakeBackend(script), [stub])]


def models_in(response: httpx2.Response) -> set[str]:
    """The names of the model in the answer, or in all of its chunks."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return {response.json()["model"]}
    lines = [line.removeprefix("data: ") for line in response.text.splitlines()]
    return {json.loads(line)["model"] for line in lines if line.startswith("{")}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_an_answer_says_which_kind_of_backend_gave_it(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any], stream: bool
) -> None:
    response = await client.post(path, json={"model": MODEL_ID, "stream": stream, **body})
    assert response.headers["x-llm-api-backend"] == "llama"
    assert "x-llm-api-fallback" not in response.headers
    assert models_in(response) == {MODEL_ID}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_fallback_s_answer_never_pretends_to_be_the_model_s(
    client: httpx2.AsyncClient,
    services: FakeServices,
    path: str,
    body: dict[str, Any],
    stream: bool,
) -> None:
    stood_in_for(services)
    response = await client.post(path, json={"model": MODEL_ID, "stream": stream, **body})
    assert response.headers["x-llm-api-backend"] == "stub"
    assert response.headers["x-llm-api-fallback"] == "echo"
    assert models_in(response) == {"echo"}


@pytest.mark.parametrize("path", ["/generate", "/chat", "/chat/stream"])
async def test_the_plain_endpoints_say_who_answered_as_well(
    client: httpx2.AsyncClient, services: FakeServices, path: str
) -> None:
    stood_in_for(services)
    response = await client.post(path, json={"prompt": "Hi"})
    assert response.status_code == 200
    assert response.headers["x-llm-api-backend"] == "stub"
    assert response.headers["x-llm-api-fallback"] == "echo"
    if path == "/generate":
        assert response.json()["model"] == "echo"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_in_full_may_be_begun_anew_and_no_other(
    client: httpx2.AsyncClient, backend: FakeBackend, stream: bool
) -> None:
    body = {"model": MODEL_ID, "stream": stream, **CHAT}
    await client.post("/v1/chat/completions", json=body)
    assert [request.context.is_whole for request in backend.requests] == [not stream]


@pytest.mark.parametrize("stream", [False, True])
async def test_choices_from_several_backends_name_all_of_them(
    client: httpx2.AsyncClient, services: FakeServices, stream: bool
) -> None:
    plans = [hello(HELLO), gone(HELLO)]
    stood_in_for(services, lambda _: plans.pop())
    body = {"model": MODEL_ID, "stream": stream, "n": 2, **CHAT}
    response = await client.post("/v1/chat/completions", json=body)
    assert set(response.headers["x-llm-api-backend"].split(", ")) == {"llama", "stub"}
    assert response.headers["x-llm-api-fallback"] == "echo"
    [model] = models_in(response)
    assert set(model.split(", ")) == {MODEL_ID, "echo"}


def test_a_name_that_no_header_can_hold_is_encoded() -> None:
    by = origin(CARD, [ServedBy("stub", "Ω model/1\n")])
    assert by == AnswerOrigin(
        "Ω model/1\n",
        {"x-llm-api-backend": "stub", "x-llm-api-fallback": "%CE%A9 model/1%0A"},
    )
