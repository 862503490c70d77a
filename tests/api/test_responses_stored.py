"""Responses that are kept: gone on from, read again, made in the background, taken up."""

import json
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.responding.background import MAX_PER_KEY
from llm_api.api.wiring import create_api
from llm_api.core.access.keys import Keyring
from llm_api.core.llm.types import ChatPrompt, Message
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from tests.api.keyed import api_key
from tests.api.test_responses import PATH, events_of, response
from tests.fakes import FakeBackend, FakeServices, endless, spoken, spoken_until
from tests.live import live_server, wait_until

CONVERSATIONS = "/v1/conversations"
HELLO = {"type": "message", "role": "user", "content": "Hi"}


@pytest.fixture
def http(base_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=base_url, timeout=30) as http:
        yield http


def kept(http: httpx2.Client, **fields: object) -> dict[str, Any]:
    answer = http.post(PATH, json=response(store=True, **fields))
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


def data_of(stream: httpx2.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream while it runs. To be asked for once."""
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def turns_of(backend: FakeBackend) -> Sequence[Message]:
    """What the model was shown last."""
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt.messages


@pytest.mark.parametrize("is_streamed", [False, True])
def test_kept_response_is_read_as_it_was_answered(http: httpx2.Client, is_streamed: bool) -> None:
    if is_streamed:
        answer = http.post(PATH, json=response(store=True, stream=True))
        answered = events_of(answer.text)[-1]["response"]
    else:
        answered = kept(http)
    assert http.get(f"{PATH}/{answered['id']}").json() == answered
    items = http.get(f"{PATH}/{answered['id']}/input_items").json()
    assert [one["content"][0]["text"] for one in items["data"]] == ["Hi"]


def test_conversation_goes_on_from_any_response(http: httpx2.Client, backend: FakeBackend) -> None:
    first = kept(http, input="One", instructions="Be brief.")
    kept(http, input="Two", previous_response_id=first["id"])
    kept(http, input="Another two", previous_response_id=first["id"])
    said = [Message("user", "One"), Message("assistant", "Hello world!")]
    assert list(turns_of(backend)) == [*said, Message("user", "Another two")]


def test_reference_stands_for_the_item(http: httpx2.Client, backend: FakeBackend) -> None:
    first = kept(http)
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    again = kept(http, input=[{"role": "user", "content": "Hi"}, reference])
    assert [turn.role for turn in turns_of(backend)] == ["user", "assistant"]
    items = http.get(f"{PATH}/{again['id']}/input_items", params={"order": "asc"}).json()
    assert [one["role"] for one in items["data"]] == ["user", "assistant"]


def test_what_is_not_kept_is_not_there(http: httpx2.Client) -> None:
    answered = http.post(PATH, json=response()).json()
    assert http.get(f"{PATH}/{answered['id']}").status_code == 404
    unknown = http.post(PATH, json=response(previous_response_id="resp_0"))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "response_not_found")


def test_deleted_response_is_gone(http: httpx2.Client) -> None:
    id = kept(http)["id"]
    assert http.delete(f"{PATH}/{id}").json() == {"id": id, "object": "response", "deleted": True}
    assert http.get(f"{PATH}/{id}").status_code == 404


def test_conversation_takes_in_what_is_said(http: httpx2.Client, backend: FakeBackend) -> None:
    begun = [{"role": "user", "content": "Before"}]
    id = http.post(CONVERSATIONS, json={"items": begun, "metadata": {"a": "b"}}).json()["id"]
    kept(http, input="One", conversation=id)
    kept(http, input="Two", conversation={"id": id})
    texts = ["Before", "One", "Hello world!", "Two"]
    assert [turn.content for turn in turns_of(backend)] == texts
    items = http.get(f"{CONVERSATIONS}/{id}/items", params={"order": "asc", "limit": 2}).json()
    assert [one["content"][0]["text"] for one in items["data"]] == texts[:2]
    assert items["has_more"]
    last = http.get(f"{CONVERSATIONS}/{id}/items", params={"limit": 1}).json()
    (item,) = last["data"]
    assert http.get(f"{CONVERSATIONS}/{id}/items/{item['id']}").json() == item
    assert http.delete(f"{CONVERSATIONS}/{id}/items/{item['id']}").json()["id"] == id
    assert http.post(f"{CONVERSATIONS}/{id}", json={"metadata": {}}).json()["metadata"] == {}
    assert http.delete(f"{CONVERSATIONS}/{id}").json()["deleted"]
    assert http.get(f"{CONVERSATIONS}/{id}").status_code == 404


def test_response_in_the_background_outlives_its_request(
    http: httpx2.Client, backend: FakeBackend
) -> None:
    may_end = threading.Event()
    backend.script = lambda _: spoken_until(may_end)
    queued = kept(http, background=True)
    assert queued["status"] == "queued"
    path = f"{PATH}/{queued['id']}"
    wait_until(lambda: http.get(path).json()["status"] == "in_progress")
    may_end.set()
    wait_until(lambda: http.get(path).json()["status"] == "completed")
    ended = http.get(path).json()
    assert ended["output"][0]["content"][0]["text"].startswith("word ")
    events = events_of(http.get(path, params={"stream": True}).text)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["response"]["status"] == events[1]["response"]["status"] == "queued"
    assert events[-1]["response"] == ended


def test_cut_stream_is_taken_up_where_it_was_cut(http: httpx2.Client, backend: FakeBackend) -> None:
    backend.script = lambda _: spoken(*["word "] * 40, pause_seconds=0.005)
    asked = response(store=True, background=True, stream=True)
    with http.stream("POST", PATH, json=asked) as stream:
        seen = list(islice(data_of(stream), 9))
    rest = events_of(
        http.get(
            f"{PATH}/{seen[0]['response']['id']}", params={"stream": True, "starting_after": 8}
        ).text
    )
    numbers = [event["sequence_number"] for event in [*seen, *rest]]
    assert numbers == list(range(len(numbers)))
    assert rest[-1]["type"] == "response.completed"


def test_cancelled_response_keeps_what_was_written(
    http: httpx2.Client, backend: FakeBackend
) -> None:
    backend.script = endless
    id = kept(http, background=True)["id"]
    with http.stream("GET", f"{PATH}/{id}", params={"stream": True}) as stream:
        events = data_of(stream)
        next(event for event in events if event["type"] == "response.output_text.delta")
        cancelled = http.post(f"{PATH}/{id}/cancel").json()
        *_, last = events
    assert cancelled["status"] == "cancelled"
    assert cancelled["output"][0]["content"][0]["text"].startswith("more ")
    assert last["type"] == "response.incomplete"
    assert last["response"] == cancelled
    assert http.post(f"{PATH}/{id}/cancel").json() == cancelled
    wait_until(lambda: len(backend.aborted) == 1)


def test_stream_that_its_client_leaves_is_kept_as_cancelled(
    http: httpx2.Client, backend: FakeBackend
) -> None:
    backend.script = endless
    with http.stream("POST", PATH, json=response(store=True, stream=True)) as stream:
        events = data_of(stream)
        id = next(events)["response"]["id"]
        next(event for event in events if event["type"] == "response.output_text.delta")
    wait_until(lambda: http.get(f"{PATH}/{id}").json()["status"] == "cancelled")
    assert http.post(f"{PATH}/{id}/cancel").status_code == 400


def test_what_was_made_when_the_server_stopped_has_failed(
    services: FakeServices, backend: FakeBackend, tmp_path: Path
) -> None:
    backend.script = endless
    with served(services, tmp_path) as http:
        id = kept(http, background=True)["id"]
        wait_until(lambda: len(backend.requests) == 1)
    with served(services, tmp_path) as http:
        answer = http.get(f"{PATH}/{id}").json()
        events = events_of(http.get(f"{PATH}/{id}", params={"stream": True}).text)
    assert answer["status"] == "failed"
    assert answer["error"]["code"] == "server_error"
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"] == answer


@contextmanager
def served(services: FakeServices, folder: Path) -> Iterator[httpx2.Client]:
    """One life of a server that keeps its state in this folder."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        services.state = State(StateOptions(folder))
        async with aclosing(services.state):
            set_services(app, services)
            yield

    app = create_api(lifespan, version="0.0.test")
    with live_server(app) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield http


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True, "store": False}, "background"),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "conversation"),
    ],
)
async def test_what_contradicts_itself_is_refused(
    client: httpx2.AsyncClient, fields: dict[str, object], param: str
) -> None:
    answer = await client.post(PATH, json=response(**fields))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_key_reaches_nothing_of_another(services: FakeServices, tmp_path: Path) -> None:
    keys = [api_key(name=name, secret=f"sk-llm-{name}-key") for name in ("alice", "bob")]
    services.state = State(StateOptions(tmp_path))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        async with aclosing(services.state):
            yield

    app = create_api(
        lifespan,
        version="0.0.test",
        access=Access(keyring=Keyring(keys), allowed_hosts=None),
    )
    set_services(app, services)
    with live_server(app) as url:
        alice, bob = (
            httpx2.Client(base_url=url, headers={"authorization": f"Bearer sk-llm-{name}-key"})
            for name in ("alice", "bob")
        )
        with alice, bob:
            id = kept(alice)["id"]
            conversation = alice.post(CONVERSATIONS, json={"items": [HELLO]}).json()["id"]
            item = alice.get(f"{CONVERSATIONS}/{conversation}/items").json()["first_id"]
            names = {"response_id": id, "conversation_id": conversation, "item_id": item}
            walked = 0
            for path, operations in app.openapi()["paths"].items():
                if not any(f"{{{name}}}" in path for name in names):
                    continue
                for method in operations:
                    body: dict[str, object] = {"metadata": {}}
                    if path.endswith("/items"):
                        body = {"items": [HELLO]}
                    sent = body if method == "post" else None
                    answer = bob.request(method, path.format(**names), json=sent)
                    assert answer.status_code == 404, (method, path, answer.text)
                    walked += 1
            assert walked >= 11
            assert bob.post(PATH, json=response(previous_response_id=id)).status_code == 404
            assert bob.post(PATH, json=response(conversation=conversation)).status_code == 404
            reference = {"type": "item_reference", "id": item}
            assert bob.post(PATH, json=response(input=[reference])).status_code == 400
            assert alice.get(f"{PATH}/{id}").is_success
            assert alice.get(f"{CONVERSATIONS}/{conversation}/items/{item}").is_success


def test_a_key_has_only_so_many_responses_in_the_background(
    http: httpx2.Client, backend: FakeBackend
) -> None:
    backend.script = endless
    ids = [kept(http, background=True)["id"] for _ in range(MAX_PER_KEY)]
    refused = http.post(PATH, json=response(store=True, background=True))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
    for id in ids:
        assert http.post(f"{PATH}/{id}/cancel").json()["status"] == "cancelled"
    wait_until(lambda: http.post(PATH, json=response(store=True, background=True)).is_success)


def test_response_in_the_background_is_logged_once_with_its_tokens(
    http: httpx2.Client, services: FakeServices
) -> None:
    id = kept(http, background=True)["id"]
    wait_until(lambda: http.get(f"{PATH}/{id}").json()["status"] == "completed")

    def records() -> list[object]:
        made = [one for one in services.request_log.records if one["endpoint"] == PATH]
        return [one["completion_tokens"] for one in made]

    wait_until(lambda: records() == [3])


def test_threads_are_listed_found_read_and_deleted(http: httpx2.Client) -> None:
    first = kept(http, input='Name "three"\nrivers.')
    second = kept(http, input="Longer ones", previous_response_id=first["id"])
    other = kept(http, input="Something else")
    listed = http.get(PATH).json()
    titles = [(one["id"], one["title"], one["responses"]) for one in listed["data"]]
    assert titles == [
        (other["id"], "Something else", 1),
        (first["id"], 'Name "three" rivers.', 2),
    ]
    assert [
        one["id"] for one in http.get(PATH, params={"query": 'the "THREE'}).json()["data"]
    ] == []
    found = http.get(PATH, params={"query": 'name "three"\nriv'}).json()
    assert [one["id"] for one in found["data"]] == [first["id"]]
    assert http.get(PATH, params={"query": "input_text"}).json()["data"] == []
    thread = http.get(f"{PATH}/{first['id']}/thread").json()
    assert [turn["response"] for turn in thread["data"]] == [first, second]
    assert thread["data"][1]["input"][0]["content"][0]["text"] == "Longer ones"
    gone = http.delete(f"{PATH}/{first['id']}/thread").json()
    assert (gone["deleted"], gone["responses"]) == (True, 2)
    assert http.get(f"{PATH}/{second['id']}").status_code == 404
