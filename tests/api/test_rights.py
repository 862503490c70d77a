"""Two keys with rights of their own ask every route there is: neither sees the other's words."""

import json
import logging
import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

import llm_api.api.deps
from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from llm_api.assembly.retrieval import open_vector_store
from llm_api.core.access.documents import documents_of
from llm_api.core.access.keys import ApiKey, Keyring, digest_of
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.llm.types import ChatPrompt, GenerationRequest
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.job_runner import running_jobs
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.rights import DocumentRights
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from llm_api.core.vector_stores.bringing_in import bringing_files_in
from tests.api.walk import Ask, every_ask
from tests.core.embeddings.fake_encoder import EMBEDDING_ID, FakeEncoder, fake_embedder
from tests.core.rag.fakes import IN_MEMORY, FakeEmbedder, retrieval_over
from tests.fakes import MODEL_ID, FakeBackend, FakeModels, FakeServices, Step, spoken
from tests.live import PATIENCE_SECONDS, live_server

API = Path(llm_api.api.deps.__file__).parent
numbers = count(1)
QUESTION = "Which river rose?"
TALK = [{"role": "user", "content": QUESTION}]
MCP = {"accept": "application/json, text/event-stream"}
SHOWING = {
    "GET /v1/files",
    "GET /v1/files/{file_id}/content",
    "GET /v1/rag/documents",
    "GET /v1/rag/documents/{document_id}",
    "GET /v1/responses/{response_id}",
    "GET /v1/conversations/{conversation_id}/items",
    "POST /mcp",
    "POST /v1/chat/completions",
    "POST /v1/functions/{name}",
    "POST /v1/messages",
    "POST /v1/rag/chat",
    "POST /v1/rag/search",
    "POST /v1/responses",
    "PATCH /v1/rag/documents/{document_id}",
    "GET /v1/vector_stores/{vector_store_id}/files",
    "GET /v1/vector_stores/{vector_store_id}/files/{file_id}",
    "GET /v1/vector_stores/{vector_store_id}/files/{file_id}/content",
    "POST /v1/vector_stores/{vector_store_id}/search",
}
"""Routes that show their own words to who may see them: so the walk sees what there is."""


def say_all(request: GenerationRequest) -> Sequence[Step]:
    """A model that says back whatever it was given."""
    assert isinstance(request.prompt, ChatPrompt)
    return spoken(" ".join(message.content for message in request.prompt.messages))


def say_something(request: GenerationRequest) -> Sequence[Step]:
    return say_all(request) if isinstance(request.prompt, ChatPrompt) else spoken("x")


@dataclass
class Team:
    """A key with a collection of its own and a part of a shared one; `words` nobody else knows."""

    name: str
    shared: str
    http: httpx2.Client
    ids: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @property
    def collection(self) -> str:
        return f"{self.name}-notes"

    @property
    def words(self) -> set[str]:
        return {f"{self.name}{what}" for what in ("text", "title", "meta", "file", "talk")}

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(path, **({"json": body} if "files" not in body else body))
        assert answer.is_success, answer.text
        self.seen |= set(re.findall(r'"\w*id":\s*"([^"]{8,})"', answer.text))
        found: dict[str, Any] = answer.json()
        return found

    def settle(self) -> None:
        """Store something of every kind."""
        me = self.name
        for collection in (self.collection, self.shared):
            document = {
                "id": f"document-of-{me}-{collection}",
                "text": f"The river rose: {me}text.",
                "title": f"{me}title",
                "metadata": {"note": f"{me}meta"},
            }
            self.post("/v1/rag/documents", collection=collection, documents=[document])
            text = f"A river again, {me}text."
            job = self.post(
                "/v1/rag/documents", collection=collection, texts=[text], background=True
            )
            self.ids["job_id"] = job["id"]
            named = {"files": (f"{me}file.txt", f"A river and {me}text.".encode())}
            self.post("/v1/rag/files", files=named, data={"collection": collection})
        self.ids["document_id"] = f"document-of-{me}-{self.shared}"
        sent = {"files": {"file": (f"{me}file.txt", f"{me}text".encode())}}
        file = self.post("/v1/files", **sent, data={"purpose": "assistants"})
        upload = self.post(
            "/v1/uploads",
            filename=f"{me}file.txt",
            purpose="assistants",
            bytes=10,
            mime_type="text/plain",
        )
        self.ids |= {"file_id": file["id"], "upload_id": upload["id"]}
        batch = self.post(f"/v1/vector_stores/{self.shared}/file_batches", file_ids=[file["id"]])
        self.ids["batch_id"] = batch["id"]
        item = {"type": "message", "role": "user", "content": f"{me}talk"}
        conversation = self.post("/v1/conversations", items=[item])["id"]
        response = self.post(
            "/v1/responses", model=MODEL_ID, input=f"{me}talk", conversation=conversation
        )
        items = self.http.get(f"/v1/conversations/{conversation}/items").json()["data"]
        self.ids |= {
            "conversation_id": conversation,
            "response_id": response["id"],
            "item_id": items[0]["id"],
        }
        self._wait_for_jobs()

    def _wait_for_jobs(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._has_settled():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _has_settled(self) -> bool:
        jobs = self.http.get("/v1/rag/jobs").json()["data"]
        files = self.http.get(f"/v1/vector_stores/{self.shared}/files").json()["data"]
        return {one["state"] for one in jobs} == {"done"} and {one["status"] for one in files} == {
            "completed"
        }

    def everything(self) -> list[str]:
        paths = [f"/v1/rag/documents?collection={name}" for name in (self.collection, self.shared)]
        paths += [
            "/v1/rag/collections",
            "/v1/rag/jobs",
            "/v1/files",
            f"/v1/vector_stores/{self.shared}/files",
            f"/v1/files/{self.ids['file_id']}/content",
            f"/v1/responses/{self.ids['response_id']}",
            f"/v1/conversations/{self.ids['conversation_id']}/items",
        ]
        answers = [self.http.get(path) for path in paths]
        assert [answer.status_code for answer in answers] == [200] * len(paths)
        return [answer.text for answer in answers]


def asks(openapi: dict[str, Any], collection: str, named: Team) -> Iterator[Ask]:
    """Every route, with the names in it of what a team has stored."""
    ids = named.ids
    arguments = {"query": QUESTION, "collection": collection}
    given = {
        **ids,
        "model": MODEL_ID,
        "messages": TALK,
        "message": QUESTION,
        "input": QUESTION,
        "prompt": QUESTION,
        "query": QUESTION,
        "max_tokens": 64,
        "collection": collection,
        "?collection": collection,
        "/v1/rag/documents?filter": json.dumps({"team": named.name}),
        "rag": {"collection": collection},
        "arguments": arguments,
        "/v1/rag/collections/name": collection,
        "/v1/functions/name": "search_documents",
        "/v1/models/model": "no-model",
        "/v1/engine/stream?snapshots": 1,
        "vector_store_id": collection,
        f"/v1/vector_stores/{collection}/files/file_id": ids["document_id"],
        "file_ids": [ids["file_id"]],
        "url": "http://127.0.0.1:9/",
        "urls": ["http://127.0.0.1:9/"],
        "metadata": {},
    }
    document_id = ids["document_id"]
    talk = {"model": MODEL_ID, "messages": TALK, "max_tokens": 64}
    searched = {"vector_store_ids": [collection]}
    bodies = {
        "POST /v1/rag/documents": {"texts": ["A river of its own."], "collection": collection},
        "POST /v1/rag/collections": {"name": collection},
        "POST /v1/rag/chat": {"model": MODEL_ID, "query": QUESTION, "collection": collection},
        "POST /v1/rag/evals": {
            "collection": collection,
            "questions": [{"query": QUESTION, "relevant": [document_id]}],
        },
        "POST /v1/rag/sync": {
            "source": "own",
            "collection": collection,
            "files": [{"path": f"own/{document_id}", "sha256": "0" * 64}],
            "is_complete": True,
        },
        "POST /v1/responses": {"model": MODEL_ID, "input": QUESTION},
        "POST /v1/messages": {**talk, "tools": [{"type": "file_search", **searched}]},
        "POST /v1/messages/count_tokens": talk,
        "POST /v1/rerank": {"query": QUESTION, "documents": ["A river."], "mode": "embedding"},
        "POST /v1/embeddings": {"model": EMBEDDING_ID, "input": QUESTION},
        "POST /v1/models/pull": {"model": "nobody/nothing", "file": "nothing.gguf"},
    }
    yield from every_ask(openapi, given, bodies)
    part = {"type": "input_file", "file_id": ids["file_id"]}
    said = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}, part]}]
    search = {"type": "file_search", **searched}
    for body in (
        {"input": said},
        {"input": QUESTION, "tools": [search], "include": ["file_search_call.results"]},
    ):
        for more in ({}, {"stream": True}):
            asked = {"model": MODEL_ID, **body, **more}
            yield Ask("POST", "/v1/responses", "/v1/responses", json=asked)
    for method, params in (
        ("tools/list", {}),
        ("tools/call", {"name": "search_documents", "arguments": arguments}),
    ):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        yield Ask("POST", "/mcp", "/mcp", json=message)


def key_of(name: str, shared: str) -> ApiKey:
    rights = DocumentRights({f"{name}-*": "write", shared: "write"}, parse_filter({"team": name}))
    return ApiKey(name, digest_of(f"sk-{name}"), documents=rights)


@dataclass
class Served:
    """A server, and the keys it knows: more at any time."""

    url: str = ""
    keys: tuple[ApiKey, ...] = ()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served()
    access = Access(keyring=Keyring(load=lambda: served.keys), allowed_hosts=None)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with (
            open_vector_store(IN_MEMORY) as store,
            FileLoader() as loader,
            aclosing(State(StateOptions(tmp_path_factory.mktemp("state")))) as state,
        ):
            retrieval = retrieval_over(store, FakeEmbedder(), loader, state)
            services = FakeServices(
                FakeModels([FakeBackend(say_something)]),
                EmbedderRegistry([fake_embedder(FakeEncoder())]),
                retrieval=retrieval,
                state=state,
                loader=loader,
                models_dir=tmp_path_factory.mktemp("files"),
            )
            services.may_pull = False
            set_services(app, services)

            def retrieval_of(owner: str) -> Retrieval:
                return documents_of(access.caller(owner), retrieval)

            async with (
                running_jobs(state, retrieval_of),
                bringing_files_in(state, services.files, retrieval, retrieval_of),
            ):
                yield

    with live_server(create_api(lifespan, version="0", access=access)) as served.url:
        yield served


@pytest.fixture
def teams(served: Served) -> Iterator[tuple[Team, Team]]:
    """Ruby's and Azure's, new ones for each test."""
    number = next(numbers)
    shared = f"shared{number}"
    with ExitStack() as stack:
        made = []
        for name in (f"ruby{number}", f"azure{number}"):
            served.keys = (*served.keys, key_of(name, shared))
            headers = {"authorization": f"Bearer sk-{name}", **MCP}
            client = httpx2.Client(base_url=served.url, headers=headers, timeout=PATIENCE_SECONDS)
            made.append(Team(name, shared, stack.enter_context(client)))
            made[-1].settle()
        yield made[0], made[1]


def leaks(answer: httpx2.Response, words: set[str]) -> set[str]:
    said = f"{answer.text} {answer.headers}"
    return {word for word in words if word in said}


def test_no_route_shows_a_key_the_words_of_another(
    openapi: dict[str, Any], teams: tuple[Team, Team], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_api")
    for me, other in (teams, teams[::-1]):
        before = other.everything()
        routes, seen = set(), []
        for collection in (other.collection, me.shared, me.collection):
            for named, secrets in (
                (other, other.words),  # an answer may repeat an id that was sent
                (me, other.words | other.seen | {other.collection}),
            ):
                if named is me and collection == other.collection:
                    continue
                for ask in asks(openapi, collection, named):
                    if ask.method == "DELETE" and named is me:
                        continue
                    answer = ask.send(me.http)
                    routes.add(ask.route)
                    seen += [(ask, found) for found in sorted(leaks(answer, secrets))]
                    assert answer.status_code < 500, (ask, answer.text)
        assert seen == []
        assert len(routes) >= 70
        assert other.everything() == before
    everybody = teams[0].words | teams[1].words
    assert [word for word in everybody if word in caplog.text] == []


def test_routes_have_no_other_way_to_documents() -> None:
    """Than `CallerServices.retrieval()`; metrics count, and need no right."""
    way = re.compile(r"services\.retrieval\b(?!\()")
    whole = {path.name for path in API.rglob("*.py") if way.search(path.read_text())}
    assert whole == {"deps.py", "exposition.py"}


def test_who_may_see_the_words_sees_them_by_the_same_requests(
    openapi: dict[str, Any], teams: tuple[Team, Team]
) -> None:
    me, _ = teams
    showing = {
        ask.route
        for ask in asks(openapi, me.shared, me)
        if ask.method != "DELETE" and leaks(ask.send(me.http), me.words)
    }
    assert showing >= SHOWING, SHOWING - showing


def test_nothing_of_another_key_is_named_by_lists_counts_and_pages(
    teams: tuple[Team, Team],
) -> None:
    ruby, _ = teams
    listed = ruby.http.get("/v1/rag/collections").json()["data"]
    counts = {one["name"]: one["documents"] for one in listed}
    assert counts == {ruby.collection: 3, ruby.shared: 4}
    asked: dict[str, str | int] = {"collection": ruby.shared, "limit": 3}
    page = ruby.http.get("/v1/rag/documents", params=asked).json()
    asked["cursor"] = page["next_cursor"]
    last = ruby.http.get("/v1/rag/documents", params=asked).json()
    assert (len(page["data"]), len(last["data"]), last["has_more"]) == (3, 1, False)


def test_a_change_can_neither_hide_a_document_nor_take_one_over(teams: tuple[Team, Team]) -> None:
    ruby, azure = teams
    path, shared = f"/v1/rag/documents/{ruby.ids['document_id']}", {"collection": ruby.shared}
    given_away = ruby.http.patch(path, params=shared, json={"metadata": {"team": azure.name}})
    assert (given_away.status_code, given_away.json()["error"]["param"]) == (403, "metadata")
    kept = ruby.http.patch(path, params=shared, json={"metadata": {"note": "new"}})
    assert kept.json()["metadata"] == {"note": "new", "team": ruby.name}
    taken = azure.http.patch(path, params=shared, json={"metadata": {}})
    assert taken.status_code == 404
    document = {"id": ruby.ids["document_id"], "text": "Mine now."}
    body = {"documents": [document], **shared}
    assert azure.http.post("/v1/rag/documents", json=body).status_code == 400
    foreign = {"documents": [{"text": "Theirs.", "metadata": {"team": azure.name}}], **shared}
    assert ruby.http.post("/v1/rag/documents", json=foreign).status_code == 403
    assert "rose" in ruby.http.get(path, params=shared).json()["text"]


@pytest.mark.parametrize("background", [False, True])
def test_to_write_without_the_right_is_forbidden_before_anything_is_queued(
    teams: tuple[Team, Team], background: bool
) -> None:
    ruby, azure = teams
    for collection in (azure.collection, "nobodys"):
        body = {"texts": ["x"], "collection": collection, "background": background}
        refused = ruby.http.post("/v1/rag/documents", json=body)
        assert (refused.status_code, collection in refused.text) == (403, True)
    assert len(ruby.http.get("/v1/rag/jobs").json()["data"]) == 2
    assert json.loads(azure.everything()[0])["has_more"] is False


def test_the_same_text_of_two_keys_is_two_documents(teams: tuple[Team, Team]) -> None:
    body = {"texts": ["The harbour froze."], "collection": teams[0].shared}
    stored = [team.http.post("/v1/rag/documents", json=body).json() for team in teams]
    assert [one["documents"][0]["status"] for one in stored] == ["created", "created"]
    assert stored[0]["ids"] != stored[1]["ids"]
    again = teams[0].http.post("/v1/rag/documents", json=body).json()
    assert again["documents"][0]["status"] == "unchanged"
