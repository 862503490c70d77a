"""Tokens over HTTP: both forms of `/tokenize`, `/detokenize`, and `/apply-template`."""

import httpx2
import pytest

from llm_api.core.llm.backends.stub import open_stub
from tests.fakes import CARD, MODEL_ID, FakeServices

HI = [{"role": "user", "content": "Hi"}]
IDS = [*map(ord, "Hi")]


async def sent(client: httpx2.AsyncClient, path: str, **body: object) -> object:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", ["/tokenize", "/v1/tokenize"])
@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"content": "Hi"}, {"tokens": IDS}),
        ({"content": ""}, {"tokens": []}),
        ({"content": "Hi", "add_special": True}, {"tokens": [0, *IDS]}),
        (
            {"content": "Hi", "with_pieces": True},
            {"tokens": [{"id": 72, "piece": "H"}, {"id": 105, "piece": "i"}]},
        ),
        ({"prompt": "Hi"}, {"count": 3, "max_model_len": 2048, "tokens": [0, *IDS]}),
        (
            {"prompt": "Hi", "add_special_tokens": False, "return_token_strs": True},
            {"count": 2, "max_model_len": 2048, "tokens": IDS, "token_strs": ["H", "i"]},
        ),
        (
            {"model": MODEL_ID, "messages": HI},
            {"count": 3, "max_model_len": 2048, "tokens": [0, *IDS]},
        ),
    ],
)
async def test_tokens_come_in_the_form_of_the_request(
    client: httpx2.AsyncClient, path: str, body: dict[str, object], answer: object
) -> None:
    assert await sent(client, path, **body) == answer


async def test_tokens_become_text_again(client: httpx2.AsyncClient) -> None:
    assert await sent(client, "/detokenize", tokens=IDS) == {"content": "Hi"}
    assert await sent(client, "/detokenize", tokens=[]) == {"content": ""}
    assert await sent(client, "/v1/detokenize", tokens=IDS, model=MODEL_ID) == {"prompt": "Hi"}


async def test_a_conversation_becomes_text(client: httpx2.AsyncClient) -> None:
    assert await sent(client, "/apply-template", messages=HI) == {"prompt": "Hi"}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "content"),
        ("/tokenize", {"content": "a", "prompt": "b"}, "prompt"),
        ("/tokenize", {"content": 1}, "content"),
        ("/tokenize", {"messages": HI, "add_generation_prompt": False}, "add_generation_prompt"),
        ("/tokenize", {"messages": []}, "messages"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens[0]"),
        ("/detokenize", {"tokens": "a"}, "tokens"),
        ("/apply-template", {}, "messages"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx2.AsyncClient, path: str, body: dict[str, object], param: str
) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_a_field_that_nobody_knows_is_ignored_by_name(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/tokenize", json={"content": "Hi", "add_bos": True})
    assert answer.json() == {"tokens": IDS}
    assert answer.headers["x-ignored-parameters"] == "add_bos"


async def test_a_backend_that_knows_no_tokens_refuses_by_name(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.models.backends = [await open_stub(CARD)]
    for path, body in (
        ("/tokenize", {"content": "Hi"}),
        ("/detokenize", {"tokens": [1]}),
        ("/apply-template", {"messages": HI}),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 400
        assert "not known to this server" in answer.json()["error"]["message"]
