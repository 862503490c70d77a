"""Legacy completions: forms of the prompt, echo, logprobs, streams."""

import json
from typing import Any

import httpx2
import pytest
from openai.types import Completion

from llm_api.core.llm.types import TextDelta, TextPrompt, TokenPrompt
from tests.api.bodies import completion
from tests.fakes import MODEL_ID, FakeBackend, sampled, spoken

LEGACY = "/v1/completions"


async def post(client: httpx2.AsyncClient, **fields: object) -> dict[str, Any]:
    """The answer, valid by the official SDK's own types."""
    response = await client.post(LEGACY, json=completion(**fields))
    assert response.status_code == 200, response.text
    Completion.model_validate_json(response.content, strict=True)
    return dict(response.json())


async def chunks(client: httpx2.AsyncClient, **fields: object) -> list[dict[str, Any]]:
    """The chunks of a stream that ends well."""
    response = await client.post(LEGACY, json=completion(stream=True, **fields))
    *frames, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


async def test_an_answer_has_exactly_the_official_fields(client: httpx2.AsyncClient) -> None:
    answer = await post(client)
    assert answer.pop("id").startswith("cmpl-")
    assert answer.pop("created") > 1_700_000_000
    assert answer.pop("system_fingerprint").startswith("fp_")
    assert answer.pop("usage")["total_tokens"] == 8
    assert answer == {
        "object": "text_completion",
        "model": MODEL_ID,
        "choices": [
            {"index": 0, "text": "Hello world!", "logprobs": None, "finish_reason": "stop"}
        ],
    }


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a", [TextPrompt("a")]),
        ("", [TextPrompt("")]),
        (["a", "b"], [TextPrompt("a"), TextPrompt("b")]),
        ([1, 2], [TokenPrompt((1, 2))]),
        ([[1, 2], [3]], [TokenPrompt((1, 2)), TokenPrompt((3,))]),
    ],
)
async def test_a_prompt_comes_in_four_forms(
    client: httpx2.AsyncClient, backend: FakeBackend, prompt: object, expected: list[object]
) -> None:
    answer = await post(client, prompt=prompt)
    assert [request.prompt for request in backend.requests] == expected
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(expected)))


async def test_choices_are_numbered_prompt_by_prompt(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda request: spoken(f"{request.prompt.text}{request.sampling.seed}")  # type: ignore[union-attr]
    answer = await post(client, prompt=["a", "b"], n=2, seed=7, echo=False)
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts == ["a7", "a8", "b7", "b8"]
    assert answer["usage"]["prompt_tokens"] == 10
    assert answer["usage"]["completion_tokens"] == 4


async def test_echo_puts_each_prompt_before_its_answers(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("!", reason="length")
    answer = await post(client, prompt=["a", "b"], n=2, best_of=2, echo=True)
    assert [choice["text"] for choice in answer["choices"]] == ["a!", "a!", "b!", "b!"]


async def test_no_tokens_may_be_asked_for(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken(reason="length")
    answer = await post(client, max_tokens=0, echo=True)
    assert answer["choices"][0]["text"] == "Once"
    assert backend.requests[0].max_tokens == 0


async def test_logprobs_are_parallel_lists(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    accent = "é".encode()
    tokens = (
        sampled(b"Hi", -0.5, (b"Ho", -1.0)), sampled(accent[:1]), sampled(accent[1:]), sampled(b"!")
    )  # fmt: skip
    [started, _, finished] = spoken("x")
    backend.script = lambda _: [started, TextDelta("Hi", tokens[:1]),
                                TextDelta("é!", tokens[1:]), finished]  # fmt: skip
    expected = {
        "text_offset": [0, 2, 2, 3],
        "tokens": ["Hi", "\\xc3", "\\xa9", "!"],
        "token_logprobs": [-0.5] * 4,
        "top_logprobs": [{"Hi": -0.5, "Ho": -1.0}, {"\\xc3": -0.5}, {"\\xa9": -0.5}, {"!": -0.5}],
    }
    [choice] = (await post(client, logprobs=2))["choices"]
    assert choice["logprobs"] == expected

    streamed = [chunk["choices"][0]["logprobs"] for chunk in await chunks(client, logprobs=2)]
    assert streamed.pop() is None
    for name, values in expected.items():
        assert [item for part in streamed for item in part[name]] == values


async def test_the_chosen_token_is_always_a_candidate(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    [started, _, finished] = spoken("x")
    unlikely = type(sampled(b"x"))(sampled(b"x", -9.0).chosen)
    backend.script = lambda _: [started, TextDelta("x", (unlikely,)), finished]
    [choice] = (await post(client, logprobs=0))["choices"]
    assert choice["logprobs"]["top_logprobs"] == [{"x": -9.0}]


async def test_a_text_that_was_withheld_says_so(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda _: spoken("Well", reason="content_filter")
    [choice] = (await post(client))["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("Well", "content_filter")


async def test_a_stream_adds_up_to_the_whole_answer(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.script = lambda request: spoken(f"{request.prompt.text}1", "2")  # type: ignore[union-attr]
    fields = {"prompt": ["a", "b"], "n": 2, "echo": True}
    texts = [""] * 4
    reasons: list[str | None] = [None] * 4
    for chunk in await chunks(client, **fields):
        Completion.model_validate(
            {**chunk, "choices": [{**c, "finish_reason": "stop"} for c in chunk["choices"]]},
            strict=True,
        )
        assert "usage" not in chunk
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
            reasons[choice["index"]] = choice["finish_reason"]
    whole = (await post(client, **fields))["choices"]
    assert texts == [choice["text"] for choice in whole] == ["aa12", "aa12", "bb12", "bb12"]
    assert reasons == ["stop"] * 4


async def test_usage_comes_last_if_asked_for(client: httpx2.AsyncClient) -> None:
    *most, last = await chunks(client, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in most] == [None] * 4
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 8
