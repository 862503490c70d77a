"""`x-cache` and `Cache-Control`: what of the response cache is seen from outside."""

from typing import Any

import httpx2
import pytest

from llm_api.core.functions.builtin.dates import get_weekday
from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare
from llm_api.core.functions.types import Origin
from llm_api.core.llm.gateway.response_cache.backend import CachingBackend
from llm_api.core.llm.gateway.response_cache.memory_answers import MemoryAnswers
from llm_api.core.llm.types import GenerationRequest
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, Step, spoken

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
ROUTES = [("/v1/chat/completions", CHAT), ("/v1/completions", {"prompt": "Hi"})]


@pytest.fixture(autouse=True)
def _cached(backend: FakeBackend, services: FakeServices) -> None:
    services.models.backends = [CachingBackend(backend, MemoryAnswers(100_000, 60), "1")]


async def asked(
    client: httpx2.AsyncClient,
    path: str = "/v1/chat/completions",
    cache_control: str = "max-age=60",
    **fields: Any,
) -> httpx2.Response:
    body = {"model": MODEL_ID, "temperature": 0, **(fields or CHAT)}
    response = await client.post(path, json=body, headers={"Cache-Control": cache_control})
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_streamed_or_not_the_second_answer_is_the_first(
    client: httpx2.AsyncClient, backend: FakeBackend, path: str, body: dict[str, Any]
) -> None:
    uses, texts = [], []
    for stream in (True, False, True):
        response = await asked(client, path, **body, stream=stream)
        uses.append(response.headers["x-cache"])
        texts.append(response.text)
    assert uses == ["miss", "hit", "hit"]
    assert len(backend.requests) == 1
    assert "Hello world!" in texts[1]
    deltas = [
        [part for part in ('"Hello"', '" world"', '"!"', "[DONE]") if part in texts[index]]
        for index in (0, 2)
    ]
    assert deltas == [['"Hello"', '" world"', '"!"', "[DONE]"]] * 2


async def test_the_usage_of_a_hit_counts_the_whole_prompt_as_cached(
    client: httpx2.AsyncClient,
) -> None:
    first, second = [(await asked(client)).json()["usage"] for _ in range(2)]
    assert (first["prompt_tokens"], first["completion_tokens"]) == (5, 3)
    assert first["prompt_tokens_details"]["cached_tokens"] == 2
    first["prompt_tokens_details"]["cached_tokens"] = 5
    assert second == first


async def test_an_answer_of_several_choices_is_a_hit_if_all_of_them_are(
    client: httpx2.AsyncClient,
) -> None:
    answers = [await asked(client, **CHAT, seed=1, n=n) for n in (1, 2, 2)]
    uses = [response.headers["x-cache"] for response in answers]
    assert uses == ["miss", "miss", "hit"]


@pytest.mark.parametrize("value", ["no-store", "No-Store", "max-age=0, no-store"])
async def test_no_store_neither_reads_nor_writes(
    client: httpx2.AsyncClient, backend: FakeBackend, value: str
) -> None:
    assert "x-cache" not in (await asked(client, cache_control=value)).headers
    assert (await asked(client)).headers["x-cache"] == "miss"
    assert "x-cache" not in (await asked(client, cache_control=value)).headers
    assert len(backend.requests) == 3


async def test_other_directives_change_nothing(client: httpx2.AsyncClient) -> None:
    await asked(client)
    response = await asked(client, cache_control="no-store-please, private")
    assert response.headers["x-cache"] == "hit"


async def test_answers_that_functions_had_a_part_in_are_made_anew(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> None:
    declaration = declare(get_weekday)
    origin = Origin("file", "mine.py")
    services.functions.catalog.add(PythonFunction(declaration, origin, FunctionThreads()))
    for _ in range(2):
        response = await asked(client, **CHAT, server_tools=["get_weekday"])
        assert "x-cache" not in response.headers
    assert [one.context.may_be_cached for one in backend.requests] == [False, False]


async def test_a_failed_answer_is_tried_again(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    def broken(_: GenerationRequest) -> list[Step]:
        return [*spoken("a")[:-1], RuntimeError("broken")]

    backend.script, script = broken, backend.script
    assert "error" in (await asked(client, **CHAT, stream=True)).text
    backend.script = script
    assert (await asked(client)).headers["x-cache"] == "miss"
