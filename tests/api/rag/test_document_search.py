"""`search_documents`: who sees and calls it, by the functions' routes, by a chat and over MCP."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.types import TextContent

from llm_api.core.access.keys import Scope
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    Started,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from tests.api.keyed import BEARER, api_key, keyed_app, talking_to
from tests.api.rag.conftest import Desk
from tests.core.rag.fakes import FakeEmbedder, open_retrieval
from tests.fakes import FakeBackend, FakeModels, FakeServices, Step, spoken

SEARCH = "/v1/functions/search_documents"


@pytest.fixture
def full(desk: Desk) -> Desk:
    desk.store(cats="cats sleep long", dogs="dogs bark loud")
    return desk


def found(desk: Desk, **arguments: object) -> dict[str, Any]:
    given = {"collection": desk.collection, **arguments}
    answer = desk.http.post(SEARCH, json={"arguments": given})
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    assert isinstance(result, dict), answer.text
    return result


def test_passages_have_document_title_words_place_and_score(full: Desk) -> None:
    result = found(full, query="cats sleep", top_k=1)
    (passage,) = result["passages"]
    assert passage.pop("score") > 0
    assert passage == {
        "document_id": "cats",
        "title": "cats",
        "text": "cats sleep long",
        "span": {"start": 0, "end": 15},
    }
    assert result["omitted"] == 0


def test_filter_holds_and_a_wrong_one_is_refused(full: Desk) -> None:
    assert found(full, query="cats sleep", filter={"year": 2020})["passages"] == []
    wrong = {"query": "cats", "collection": full.collection, "filter": {"year": {"like": 1}}}
    answer = full.http.post(SEARCH, json={"arguments": wrong})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("arguments.filter")


def test_unknown_collection_is_told(desk: Desk) -> None:
    answer = desk.http.post(SEARCH, json={"arguments": {"query": "x", "collection": "nowhere"}})
    assert "nowhere" in answer.text


def test_result_is_bounded(full: Desk) -> None:
    full.ingest(*(f"cats sleep {number} " + "x" * 4_000 for number in range(8)))
    result = found(full, query="cats sleep", top_k=20)
    assert len(json.dumps(result)) < 20_000
    assert result["omitted"] > 0


def test_function_is_listed_with_its_schema(desk: Desk) -> None:
    listed = desk.http.get("/v1/functions").json()["data"]
    (search,) = [one for one in listed if one["name"] == "search_documents"]
    assert set(search["parameters"]["properties"]) == {"query", "collection", "top_k", "filter"}
    assert search["parameters"]["required"] == ["query"]
    assert desk.http.get(SEARCH).json() == search


def calling(request: GenerationRequest) -> Sequence[Step]:
    """Calls the function, then says what the result has."""
    assert isinstance(request.prompt, ChatPrompt)
    last = request.prompt.messages[-1]
    if last.role == "tool":
        return spoken(last.content)
    call = ToolCallStarted(0, "c", "search_documents"), ToolCallDelta(0, '{"query": "cats sleep"}')
    return [Started(1), *call, Finished("tool_calls", Usage(1, 1))]


@asynccontextmanager
async def keyed(*scopes: Scope) -> AsyncGenerator[httpx2.AsyncClient, None]:
    """A client with a key of these scopes, for a server with a document."""
    async with open_retrieval(embedder=FakeEmbedder()) as retrieval:
        services = FakeServices(
            FakeModels([FakeBackend(calling)]), EmbedderRegistry([]), retrieval=retrieval
        )
        writer = api_key(scopes=["rag"], secret="sk-llm-writer", name="writer")
        app = keyed_app(services, api_key(scopes=scopes), writer)
        async with talking_to(app, **BEARER) as client:
            stored = await client.post(
                "/v1/rag/documents",
                json={"texts": ["cats sleep long"]},
                headers={"authorization": "Bearer sk-llm-writer"},
            )
            assert stored.is_success, stored.text
            yield client


async def chat(client: httpx2.AsyncClient, tools: object) -> httpx2.Response:
    messages = [{"role": "user", "content": "Do cats sleep?"}]
    body = {"model": "default", "messages": messages, "server_tools": tools}
    return await client.post("/v1/chat/completions", json=body)


async def test_chat_calls_the_function_with_the_rights_of_its_key() -> None:
    async with keyed("generate", "functions", "rag") as client:
        answer = await chat(client, ["search_documents"])
        (choice,) = answer.json()["choices"]
        assert "cats sleep long" in choice["message"]["content"]


async def test_key_without_the_scope_neither_sees_nor_calls_it() -> None:
    async with keyed("generate", "functions") as client:
        names = [one["name"] for one in (await client.get("/v1/functions")).json()["data"]]
        assert "search_documents" not in names
        call = {"arguments": {"query": "cats"}}
        assert (await client.get(SEARCH)).status_code == 404
        assert (await client.post(SEARCH, json=call)).status_code == 404
        listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        accept = {"accept": "application/json, text/event-stream"}
        assert (
            "search_documents" not in (await client.post("/mcp", json=listing, headers=accept)).text
        )
        refused = await chat(client, ["search_documents"])
        assert refused.status_code == 400
        assert "search_documents" in refused.json()["error"]["message"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_client_finds_documents(full: Desk, mode: str) -> None:
    async with Client(f"{full.http.base_url}/mcp", mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert "search_documents" in tools
        arguments = {"query": "dogs bark", "collection": full.collection, "top_k": 1}
        result = await client.call_tool("search_documents", arguments)
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert "dogs bark loud" in content.text
