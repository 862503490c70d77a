"""`file_search` on `/v1/responses` over a scripted model: its searches, its sources, citations."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from llm_api.core.llm.capabilities import EVERYTHING, without
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    GrammarFormat,
    Message,
    Started,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.rag.answering.searching import spoken_grammar
from llm_api.core.rag.filters import And, Comparison
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import HybridWeights
from tests.api.keyed import BEARER, api_key, keyed_app, talking_to
from tests.api.openai_schemas import check, check_event
from tests.api.test_responses import PATH, events_of, refusal, response, without_ids
from tests.core.rag.fakes import FakeEmbedder, FakeStore, by_lines, retrieval_over
from tests.fakes import CARD, MODEL_ID, FakeBackend, FakeServices, Step, spoken
from tests.live import PATIENCE_SECONDS, wait_until

DOCUMENTS = [
    Document("file-cats", "cats sleep long", "cats.md", {"filename": "cats.md", "year": 2020}),
    Document("file-dogs", "dogs bark loud", "Dogs"),
]
SEARCH: dict[str, Any] = {"type": "file_search", "vector_store_ids": ["pets"]}
RESULTS = ["file_search_call.results"]


@pytest.fixture(autouse=True)
async def store(services: FakeServices) -> FakeStore:
    """A vector store `pets` of two files."""
    store, embedder = FakeStore(), FakeEmbedder()
    ingester = Ingester(store, embedder, by_lines())
    await ingester.ingest("pets", each(DOCUMENTS), lambda _: None)
    services.retrieval = retrieval_over(store, embedder, services.loader, services.state)
    return store


def asked(question: str = "Do cats sleep?", **fields: object) -> dict[str, object]:
    return response(**{"input": question, "tools": [SEARCH], **fields})


def looking(*queries: str) -> list[Step]:
    """A script that searches."""
    call = ToolCallStarted(0, "call_0", "file_search")
    arguments = ToolCallDelta(0, json.dumps({"queries": queries}))
    return [Started(5), call, arguments, Finished("tool_calls", Usage(5, 9, 2, 1))]


def in_turn(backend: FakeBackend, *scripts: Sequence[Step]) -> None:
    """Have the model play one after the other, from the next request on."""
    first = len(backend.requests) + 1
    backend.script = lambda _: scripts[len(backend.requests) - first]


def turns(request: GenerationRequest) -> tuple[Message, ...]:
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt.messages


async def post(client: httpx2.AsyncClient, body: dict[str, object]) -> dict[str, Any]:
    """A whole answer, which OpenAI's schemas allow."""
    answer = await client.post(PATH, json=body)
    assert answer.is_success, answer.text
    whole: dict[str, Any] = answer.json()
    check("Response", whole)
    return whole


async def test_user_s_question_is_searched_for_before_the_model_begins(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, spoken("Cats sleep long [1]", ".", " Really."))
    whole = await post(client, asked())
    search, message = whole["output"]
    assert (search["type"], search["status"], search["queries"], search["results"]) == (
        "file_search_call",
        "completed",
        ["Do cats sleep?"],
        None,
    )
    (part,) = message["content"]
    assert part["text"] == "Cats sleep long. Really."
    (citation,) = part["annotations"]
    assert (citation["file_id"], citation["filename"]) == ("file-cats", "cats.md")
    assert part["text"][: citation["index"]].rstrip(".") == "Cats sleep long"
    assert (citation["quote"], citation["span"]) == ("cats sleep long", {"start": 0, "end": 15})
    (request,) = backend.requests
    system, user = turns(request)
    assert (system.role, user) == ("system", Message("user", "Do cats sleep?"))
    assert '<source number="1" name="cats.md">\ncats sleep long\n</source>' in system.content
    assert request.callable_tools == ()
    assert request.output_format == GrammarFormat(spoken_grammar(1))


async def test_model_of_another_server_may_search_on(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.card = replace(CARD, capabilities=without("tokens", without("grammar", EVERYTHING)))
    in_turn(backend, looking("Do cats sleep?", "dogs bark"), spoken("Dogs bark [2]."))
    whole = await post(client, asked())
    first, second, message = whole["output"]
    assert (first["queries"], second["queries"]) == (
        ["Do cats sleep?"],
        ["Do cats sleep?", "dogs bark"],
    )
    assert message["content"][0]["annotations"][0]["file_id"] == "file-dogs"
    *_, user, call, result = turns(backend.requests[0])
    assert (user.role, call.tool_calls[0].name, result.role) == ("user", "file_search", "tool")
    assert '<source number="1" name="cats.md">\ncats sleep long\n</source>' in result.content
    in_turn(backend, looking("Do cats sleep?"), spoken("Yes."))
    whole = await post(client, asked())
    assert [item["type"] for item in whole["output"]] == ["file_search_call", "message"]
    assert backend.requests[-1].callable_tools == ()


async def test_model_searches_by_itself_in_several_rounds(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    said = spoken("Dogs bark [1]. Cats sleep [2].")
    in_turn(backend, looking("dogs bark"), looking("cats sleep", "dogs bark"), said)
    whole = await post(client, asked("Who?", include=RESULTS, tool_choice={"type": "file_search"}))
    first, second, message = whole["output"]
    assert [one["file_id"] for one in first["results"]] == ["file-dogs"]
    assert second["queries"] == ["cats sleep", "dogs bark"]
    assert [(one["file_id"], one["number"]) for one in second["results"]] == [
        ("file-cats", 2),
        ("file-dogs", 1),
    ]
    cats = second["results"][0]
    assert cats["attributes"] == {"year": 2020}
    assert (cats["text"], cats["span"], cats["score"] > 0) == (
        "cats sleep long",
        {"start": 0, "end": 15},
        True,
    )
    cited = message["content"][0]["annotations"]
    assert [one["file_id"] for one in cited] == ["file-dogs", "file-cats"]
    assert (whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]) == (15, 19)
    choices = [request.tool_choice for request in backend.requests]
    assert [choice and choice.mode for choice in choices] == ["required", "auto", "auto"]


async def test_demanded_search_looks_for_the_user_s_question_too(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, looking("felines"), spoken("They do [1]."))
    whole = await post(client, asked(tool_choice="required", include=RESULTS))
    search, _ = whole["output"]
    assert search["queries"] == ["Do cats sleep?", "felines"]
    assert [one["file_id"] for one in search["results"]] == ["file-cats"]


async def test_what_is_found_for_no_question_is_not_shown(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, spoken("Hello!"))
    whole = await post(client, asked("tax forms"))
    assert [item["type"] for item in whole["output"]] == ["message"]
    assert turns(backend.requests[0])[-1] == Message("user", "tax forms")


@pytest.mark.parametrize("choice", ["none", {"type": "allowed_tools", "mode": "auto"}])
async def test_search_that_is_not_allowed_is_not_made(
    client: httpx2.AsyncClient, backend: FakeBackend, choice: object, store: FakeStore
) -> None:
    other = {"type": "function", "name": "other", "parameters": {}}
    if isinstance(choice, dict):
        choice = {**choice, "tools": [{"type": "function", "name": "other"}]}
    in_turn(backend, spoken("Well."))
    whole = await post(client, asked(tools=[SEARCH, other], tool_choice=choice))
    assert [item["type"] for item in whole["output"]] == ["message"]
    assert store.queries == []


async def test_allowed_tools_may_name_the_search(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "file_search"}]}
    in_turn(backend, looking("cats"), spoken("Yes."))
    whole = await post(client, asked(tool_choice=choice))
    assert [item["type"] for item in whole["output"]] == ["file_search_call", "message"]


async def test_stream_has_every_event_of_searches_and_citations(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    scripts = looking("dogs bark"), spoken("Dogs", " bark [", "1].", " So.")
    in_turn(backend, *scripts)
    body = asked("Who?", include=RESULTS, tool_choice={"type": "file_search"})
    whole = await post(client, body)
    in_turn(backend, *scripts)
    events = events_of((await client.post(PATH, json={**body, "stream": True})).text)
    for event in events:
        check_event(event)
    assert without_ids(events[-1]["response"]) == without_ids(whole)
    kinds = [event["type"].removeprefix("response.") for event in events]
    texts = [at for at, kind in enumerate(kinds) if kind == "output_text.delta"]
    assert [kind for kind in kinds if kind != "output_text.delta"] == [
        "created",
        "in_progress",
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert texts[0] < kinds.index("output_text.annotation.added") < texts[-1]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_other_tools_may_still_be_called(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    other = {"type": "function", "name": "other", "parameters": {}}
    call = ToolCallStarted(0, "call_0", "other"), ToolCallDelta(0, "{}")
    in_turn(backend, [Started(5), *call, Finished("tool_calls", Usage(5, 9))])
    whole = await post(client, asked(tools=[SEARCH, other]))
    assert [item["type"] for item in whole["output"]] == ["file_search_call", "function_call"]
    (request,) = backend.requests
    assert [tool.name for tool in request.callable_tools] == ["other"]
    assert request.output_format is None


async def test_sentence_without_a_marker_is_cited_by_what_it_says(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    for mode, cited in (("both", ["alignment"]), ("model", [])):
        in_turn(backend, spoken("Cats sleep long. Well."))
        whole = await post(client, asked(tools=[{**SEARCH, "citations": mode}]))
        (part,) = whole["output"][1]["content"]
        assert [one["by"] for one in part["annotations"]] == cited
        assert [one["index"] for one in part["annotations"]] == [16] * len(cited)


async def test_answer_in_a_format_of_its_own_has_no_citations(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, spoken('["[1]"]'))
    schema = {"type": "json_schema", "name": "list", "schema": {"type": "array"}}
    whole = await post(client, asked(text={"format": schema}))
    assert whole["output"][1]["content"][0]["text"] == '["[1]"]'
    assert whole["output"][1]["content"][0]["annotations"] == []


async def test_options_of_the_search_are_kept(
    client: httpx2.AsyncClient, backend: FakeBackend, store: FakeStore
) -> None:
    filters = {"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2020}]}
    weights = {"embedding_weight": 3, "text_weight": 1}
    ranking = {"ranker": "auto", "score_threshold": 0.4, "hybrid_search": weights}
    tool = {**SEARCH, "max_num_results": 1, "filters": filters, "ranking_options": ranking}
    in_turn(backend, spoken("Yes."))
    whole = await post(client, asked(tools=[tool]))
    (query,) = store.queries
    assert (query.top_k, query.score_threshold) == (1, 0.4)
    assert query.weights == HybridWeights(3, 1)
    assert query.filter == And((Comparison("year", "gte", (2020,)),))
    assert whole["tools"] == [tool]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"vector_store_ids": []}, "tools[0].vector_store_ids"),
        ({"max_num_results": 51}, "tools[0].max_num_results"),
        (
            {"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            "tools[0].ranking_options.hybrid_search",
        ),
        ({"filters": {"type": "like", "key": "a", "value": 1}}, "tools[0].filters.a"),
        ({"filters": {"type": "or", "filters": [1]}}, "tools[0].filters.filters[0]"),
        ({"filters": {"year": {"like": 1}}}, "tools[0].filters.year"),
    ],
)
async def test_wrong_tool_is_refused_by_name(
    client: httpx2.AsyncClient, fields: dict[str, object], param: str
) -> None:
    answer = await client.post(PATH, json=asked(tools=[{**SEARCH, **fields}]))
    status, at, _ = refusal(answer)
    assert (status, at) == (400, param)


async def test_unknown_store_is_refused_by_its_place_with_those_that_there_are(
    client: httpx2.AsyncClient,
) -> None:
    tool = {**SEARCH, "vector_store_ids": ["pets", "vs_none"]}
    answer = await client.post(PATH, json=asked(tools=[tool]))
    assert refusal(answer) == (404, "tools[0].vector_store_ids[1]", "vector_store_not_found")
    assert "'pets'" in answer.json()["error"]["message"]


async def test_log_probabilities_of_a_cited_answer_are_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PATH, json=asked(include=["message.output_text.logprobs"]))
    assert refusal(answer)[:2] == (400, "include")


async def test_server_without_retrieval_says_so(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    services.retrieval = None
    answer = await client.post(PATH, json=asked())
    assert (answer.status_code, "EMBEDDING_BACKEND" in answer.text) == (404, True)


async def test_key_without_the_right_to_search_is_refused(services: FakeServices) -> None:
    async with talking_to(keyed_app(services, api_key(scopes=["generate"])), **BEARER) as client:
        answer = await client.post(PATH, json=asked())
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_permissions")


async def test_failed_search_is_told_to_the_model_and_shown(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, [*looking()], spoken("Sorry."))
    whole = await post(client, asked("Who?", tool_choice="required"))
    search, _ = whole["output"]
    assert (search["status"], search["queries"]) == ("failed", [])
    assert "queries" in turns(backend.requests[1])[-1].content


async def test_search_counts_as_a_call(client: httpx2.AsyncClient, backend: FakeBackend) -> None:
    in_turn(backend, looking("dogs bark"), spoken("Yes."))
    whole = await post(client, asked(max_tool_calls=1, tool_choice="required"))
    assert [item["type"] for item in whole["output"]] == ["file_search_call", "message"]
    assert backend.requests[-1].callable_tools == ()
    assert backend.requests[-1].output_format == GrammarFormat(spoken_grammar(2))
    in_turn(backend, spoken("Yes."))
    whole = await post(client, asked(max_tool_calls=0))
    assert [item["type"] for item in whole["output"]] == ["message"]


async def test_conversation_goes_on_behind_a_search(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, spoken("They do [1]."))
    first = await post(client, asked(store=True, include=RESULTS))
    in_turn(backend, spoken("Cats."), spoken("Long."), spoken("Long."))
    again = asked("Thank you very much indeed.", previous_response_id=first["id"])
    await post(client, {**again, "store": True})
    *_, call, result, said, thanks = turns(backend.requests[-1])
    assert (call.tool_calls[0].name, said.content) == ("file_search", "They do.")
    assert '<source name="cats.md">\ncats sleep long' in result.content
    assert thanks.content == "Thank you very much indeed."
    search, message = first["output"]
    bare = {**search, "results": None}
    items = [{"role": "user", "content": "Do cats sleep?"}, bare, message]
    await post(
        client, asked(input=[*items, {"role": "user", "content": "Thank you very much indeed."}])
    )
    assert [turn.role for turn in turns(backend.requests[-1])] == ["user", "assistant", "user"]
    references = [{"type": "item_reference", "id": one["id"]} for one in (search, message)]
    await post(
        client,
        asked(input=[*references, {"role": "user", "content": "Thank you very much indeed."}]),
    )
    assert "cats sleep long" in turns(backend.requests[-1])[1].content


async def test_follow_up_is_searched_for_as_it_is_meant(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, spoken("How long do cats sleep?"), spoken("Long [1]."))
    said = [("user", "Do cats sleep?"), ("assistant", "Yes."), ("user", "And how long do they?")]
    items = [{"role": role, "content": text} for role, text in said]
    whole = await post(client, asked(input=items))
    assert whole["output"][0]["queries"] == ["How long do cats sleep?"]
    assert whole["usage"]["output_tokens"] == 2


async def test_stored_documents_are_searched_and_cited_by_their_characters(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    in_turn(backend, spoken("Cats sleep long [1].", " So."))
    body: dict[str, Any] = {
        "model": MODEL_ID,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Do cats sleep?"}],
        "tools": [{**SEARCH, "name": "file_search"}],
    }
    whole = (await client.post("/v1/messages", json=body)).json()
    use, result, *texts = whole["content"]
    assert (use["type"], use["name"], use["input"]) == (
        "mcp_tool_use",
        "file_search",
        {"queries": ["Do cats sleep?"]},
    )
    assert result["tool_use_id"] == use["id"]
    assert result["content"][0]["text"] == '<source name="cats.md">\ncats sleep long\n</source>'
    assert "".join(block["text"] for block in texts) == "Cats sleep long. So."
    (citation,) = [one for block in texts for one in block.get("citations", [])]
    assert citation == {
        "type": "char_location",
        "cited_text": "cats sleep long",
        "document_index": 0,
        "document_title": "cats.md",
        "file_id": "file-cats",
        "start_char_index": 0,
        "end_char_index": 15,
    }
    in_turn(backend, spoken("Yes."))
    turn = {"role": "assistant", "content": whole["content"]}
    again = [*body["messages"], turn, {"role": "user", "content": "Thank you very much indeed."}]
    assert (await client.post("/v1/messages", json={**body, "messages": again})).is_success


async def test_citations_of_given_documents_exclude_the_search(client: httpx2.AsyncClient) -> None:
    document = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "Cats sleep."},
        "citations": {"enabled": True},
    }
    body = {
        "model": MODEL_ID,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": [document, {"type": "text", "text": "Do they?"}]}],
        "tools": [SEARCH],
    }
    answer = await client.post("/v1/messages", json=body)
    assert (answer.status_code, "file_search" in answer.text) == (400, True)


def test_response_in_the_background_has_the_same_items(base_url: str, backend: FakeBackend) -> None:
    in_turn(backend, looking("dogs bark"), spoken("Dogs bark [1]."))
    body = asked("Who?", tool_choice="required", store=True, background=True, include=RESULTS)
    with httpx2.Client(base_url=base_url, timeout=PATIENCE_SECONDS) as http:
        path = f"{PATH}/{http.post(PATH, json=body).json()['id']}"
        wait_until(lambda: http.get(path).json()["status"] == "completed")
        events = events_of(http.get(path, params={"stream": True}).text)
        ended = http.get(path).json()
    assert [item["type"] for item in ended["output"]] == ["file_search_call", "message"]
    assert ended["output"][1]["content"][0]["annotations"][0]["file_id"] == "file-dogs"
    assert events[-1]["response"] == ended
    assert "response.output_text.annotation.added" in [event["type"] for event in events]
