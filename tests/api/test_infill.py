"""Text to fill in over HTTP, in the form of llama.cpp's server."""

import asyncio
import json

import httpx2
import pytest

from llm_api.core.llm.types import ContextFile, FillInPrompt
from tests.fakes import MODEL_ID, FakeBackend, endless

AROUND = {"input_prefix": "def f():\n", "prompt": "    return ", "input_suffix": "\n"}


async def test_a_whole_answer_says_what_it_cost(client: httpx2.AsyncClient) -> None:
    answer = (await client.post("/infill", json=AROUND)).json()
    timings = answer.pop("timings")
    assert answer == {
        "index": 0,
        "content": "Hello world!",
        "stop": True,
        "model": MODEL_ID,
        "tokens_predicted": 3,
        "tokens_evaluated": 5,
        "tokens_cached": 8,
        "stop_type": "eos",
    }
    assert (timings["cache_n"], timings["prompt_n"], timings["predicted_n"]) == (2, 3, 3)


async def test_the_line_of_the_cursor_follows_the_prefix(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    extra = [{"filename": "a.h", "text": "1"}, {"text": "2"}]
    body = {**AROUND, "input_extra": extra, "n_predict": -1, "top_k": 40, "stop": ["x"]}
    await client.post("/infill", json=body)
    [asked] = backend.requests
    files = (ContextFile("a.h", "1"), ContextFile("tmp", "2"))
    assert asked.prompt == FillInPrompt("def f():\n    return ", "\n", files, is_windowed=True)
    assert (asked.max_tokens, asked.sampling.top_k, asked.stop) == (None, 40, ("x",))


async def test_a_stream_ends_with_its_counts(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/infill", json={**AROUND, "stream": True})
    frames = [json.loads(frame.removeprefix("data: ")) for frame in answer.text.split("\n\n")[:-1]]
    assert [frame["content"] for frame in frames] == ["Hello", " world", "!", ""]
    assert [frame["stop"] for frame in frames] == [False, False, False, True]
    assert frames[-1]["tokens_evaluated"] == 5


async def test_an_editor_names_the_fields_that_it_reads(client: httpx2.AsyncClient) -> None:
    fields = ["content", "timings/prompt_n", "truncated"]
    answer = await client.post("/infill", json={**AROUND, "response_fields": fields})
    assert answer.json() == {"content": "Hello world!", "timings/prompt_n": 3}


async def test_what_an_editor_sends_beside_is_borne(client: httpx2.AsyncClient) -> None:
    beside = {"id_slot": 1, "n_indent": 4, "t_max_predict_ms": 500, "t_max_prompt_ms": 9}
    answer = await client.post("/infill", json={**AROUND, **beside})
    assert answer.status_code == 200
    assert set(answer.headers["x-ignored-parameters"].split(", ")) == set(beside)


@pytest.mark.parametrize(
    ("broken", "param"),
    [
        ({"input_prefix": None}, "input_prefix"),
        ({"input_suffix": None}, "input_suffix"),
        ({"input_extra": [{}]}, "input_extra[0].text"),
        ({"input_extra": [{"filename": "ok"}]}, "input_extra[0].text"),
        ({"input_extra": [{"filename": 123, "text": "abc"}]}, "input_extra[0].filename"),
        ({"n_predict": -2}, "n_predict"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx2.AsyncClient, broken: dict[str, object], param: str
) -> None:
    answer = await client.post("/infill", json={**AROUND, **broken})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_requests_that_editors_leave_are_aborted(base_url: str, backend: FakeBackend) -> None:
    backend.script = endless
    async with httpx2.AsyncClient(base_url=base_url) as client:
        typed = [asyncio.create_task(client.post("/infill", json=AROUND)) for _ in range(20)]
        while len(backend.requests) < 20:
            await asyncio.sleep(0.01)
        for task in typed:
            task.cancel()
        await asyncio.gather(*typed, return_exceptions=True)
    async with asyncio.timeout(20):
        while len(backend.aborted) < 20:
            await asyncio.sleep(0.01)
