import json
from collections.abc import Sequence

import httpx2
import pytest

from llm_api.core.errors import OverloadedError
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, GrammarFormat, RequestContext
from llm_api.core.rag.answering.citations import NOT_COVERED, citation_grammar
from llm_api.core.rag.answering.quotes import quote_grammar
from tests.api.rag.conftest import Desk, error_of
from tests.fakes import MODEL_ID, Step, spoken

TEXT = "cats sleep long"


def cites(_: GenerationRequest) -> Sequence[Step]:
    return spoken("Cats sleep", " long [1]", ".")


@pytest.fixture
def full(desk: Desk) -> Desk:
    desk.store(cats=TEXT, dogs="dogs bark loud")
    desk.backend.script = cites
    return desk


def ask(desk: Desk, query: str = "when do cats sleep", **body: object) -> httpx2.Response:
    return desk.post("/v1/rag/chat", query=query, top_k=1, **body)


def test_answer_has_sources_citations_and_usage(full: Desk) -> None:
    answer = ask(full).json()
    assert answer["answer"] == "Cats sleep long [1]."
    (source,) = answer["sources"]
    assert (source["number"], source["document_id"], source["text"]) == (1, "cats", TEXT)
    assert answer["citations"] == [
        {
            "number": 1,
            "marker": {"start": 16, "end": 19},
            "document_id": "cats",
            "span": {"start": 0, "end": 15},
            "quote": TEXT,
            "by": "model",
            "sentence": {"start": 0, "end": 20},
            "score": 1.0,
            "supported": True,
        }
    ]
    assert (answer["finish_reason"], answer["usage"]["total_tokens"]) == ("stop", 8)
    assert (answer["model"], answer["question"]) == (MODEL_ID, "when do cats sleep")
    assert "support" not in answer


def test_several_collections_answer_together(full: Desk) -> None:
    other = Desk(full.http, full.backend, full.embedder)
    other.store(birds="cats sleep when birds sleep")
    names = [full.collection, other.collection]
    body = {"query": "when do cats sleep", "top_k": 2, "collections": names}
    answer = full.http.post("/v1/rag/chat", json=body).json()
    assert {one["collection"] for one in answer["sources"]} == set(names)
    rag = {"collections": names, "top_k": 2}
    messages = [{"role": "user", "content": "when do cats sleep"}]
    body = {"model": MODEL_ID, "messages": messages, "rag": rag}
    chat = full.http.post("/v1/chat/completions", json=body).json()
    urls = {one["url_citation"]["url"] for one in chat["choices"][0]["message"]["annotations"]}
    assert {url.partition("collection=")[2] for url in urls} == set(names)
    both = full.post("/v1/rag/chat", query="when", collections=names)
    assert error_of(both) == (400, "invalid_request", "collections")


def test_quote_is_the_documents_own_text_at_its_span(full: Desk) -> None:
    (citation,) = ask(full).json()["citations"]
    text = full.get("/v1/rag/documents/cats").json()["text"]
    span = citation["span"]
    assert text[span["start"] : span["end"]] == citation["quote"]


def test_model_can_write_no_marker_of_a_source_that_is_not_there(full: Desk) -> None:
    ask(full)
    assert full.backend.requests[-1].output_format == GrammarFormat(citation_grammar(1))


def test_verified_answer_says_of_each_sentence_whether_it_is_supported(full: Desk) -> None:
    full.backend.script = lambda _: spoken("Cats sleep long [1]. ", "Taxes are due in May.")
    first, second = ask(full, verify=True).json()["support"]
    assert (first["sentence"], first["supported"]) == ("Cats sleep long [1].", True)
    assert first["span"] == {"start": 0, "end": 15}
    assert second["supported"] is False


def test_question_that_nothing_covers_is_answered_so_without_a_model(full: Desk) -> None:
    answer = ask(full, "capital of France").json()
    assert (answer["answer"], answer["sources"]) == (NOT_COVERED, [])
    assert full.backend.requests == []


def test_conversation_is_answered_with_the_earlier_sources_in_front(full: Desk) -> None:
    messages = [
        {"role": "user", "content": "why do dogs bark"},
        {"role": "assistant", "content": "So [1]."},
        {"role": "user", "content": "how long do cats sleep"},
    ]
    answer = full.post("/v1/rag/chat", messages=messages, num_context_docs=1).json()
    assert [one["document_id"] for one in answer["sources"]] == ["dogs", "cats"]
    prompt = full.backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    assert [turn.role for turn in prompt.messages] == ["system", "user", "assistant", "user"]


def frames(response: httpx2.Response) -> list[tuple[str, dict[str, object]]]:
    """Name and content of each event before `[DONE]`."""
    *events, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    lines = [event.split("\n", 1) for event in events]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in lines
    ]


def test_stream_has_typed_events_sources_first_and_usage_last(full: Desk) -> None:
    response = ask(full, stream=True, verify=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = frames(response)
    assert [name for name, _ in events] == [
        *("sources", "text", "text", "text", "citation", "support", "finish", "usage")
    ]
    whole = ask(full, verify=True).json()
    folded = {key: value for name, data in events if name != "text" for key, value in data.items()}
    assert "".join(str(data["text"]) for name, data in events if name == "text") == whole["answer"]
    for key in ("sources", "omitted", "question", "support", "usage", "finish_reason"):
        assert folded[key] == whole[key]
    assert dict(events)["citation"] == whole["citations"][0]


def test_refusal_comes_before_the_stream(full: Desk) -> None:
    full.backend.script = lambda _: [OverloadedError("Full.", retry_after_seconds=2)]
    response = ask(full, stream=True)
    assert error_of(response)[:2] == (429, "queue_full")
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "invalid_request", "query"),
        (
            {"query": "a", "messages": [{"role": "user", "content": "a"}]},
            *("invalid_request", "query"),
        ),
        ({"messages": [{"role": "system", "content": "a"}]}, "invalid_request", "messages"),
        ({"query": "a", "top_k": 1, "num_context_docs": 2}, "invalid_request", "top_k"),
        ({"query": "a", "n": 2}, "unsupported_parameter", "n"),
        ({"query": "a", "model": "nobody"}, "model_not_found", "model"),
        ({"query": "a", "tools": []}, "unsupported_parameter", "tools"),
        ({"query": "a", "filter": {"a": {"b": 1}}}, "invalid_request", "filter.a"),
        ({"query": "a", "citations": "some"}, "invalid_value", "citations"),
        ({"query": "a", "quote": True, "citations": "none"}, "invalid_request", "citations"),
        ({"query": "a", "quote": True, "guided_regex": "b"}, "invalid_request", "quote"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    full: Desk, body: dict[str, object], code: str, param: str
) -> None:
    status, *named = error_of(full.post("/v1/rag/chat", **body))
    assert named == [code, param]
    assert status == (404 if code == "model_not_found" else 400)


@pytest.mark.parametrize("stream", [False, True])
def test_answer_is_never_one_that_was_kept_as_documents_change(full: Desk, stream: bool) -> None:
    ask(full, stream=stream)
    complete(full, stream=stream)
    contexts = [request.context for request in full.backend.requests]
    assert contexts == [RequestContext(is_whole=not stream, may_be_cached=False)] * 2


def test_collection_that_is_not_there_is_404_and_names_those_that_are(full: Desk) -> None:
    for one in full.http.get("/v1/rag/collections").json()["data"]:
        if one["name"] != full.collection:  # other tests left it, and twenty are named at most
            full.http.delete(f"/v1/rag/collections/{one['name']}")
    answer = ask(full, collection="nowhere")
    assert error_of(answer)[:2] == (404, "collection_not_found")
    assert f"{full.collection!r}" in answer.json()["error"]["message"]


def test_empty_collection_is_said_to_be_empty(full: Desk) -> None:
    assert full.http.post("/v1/rag/collections", json={"name": "bare"}).is_success
    answer = ask(full, collection="bare").json()
    assert answer["answer"].startswith("The collection 'bare' is empty")
    assert full.backend.requests == []


def test_filter_that_matches_no_document_is_said_to(full: Desk) -> None:
    answer = ask(full, filter={"year": 2031}).json()
    assert answer["answer"] == (
        f"No document of the collection {full.collection!r} matches the filter."
    )


def test_sentence_without_a_marker_is_cited_by_alignment(full: Desk) -> None:
    full.backend.script = lambda _: spoken("Cats sleep long. ", "And so on.")
    [citation] = ask(full).json()["citations"]
    assert (citation["by"], citation["quote"]) == ("alignment", TEXT)
    assert citation["marker"] == {"start": 16, "end": 16}
    assert ask(full, citations="model").json()["citations"] == []


def test_model_can_be_held_to_quotes(full: Desk) -> None:
    full.backend.script = lambda _: spoken('"cats sleep long" [1]')
    [citation] = ask(full, quote=True).json()["citations"]
    assert (citation["quote"], citation["score"]) == (TEXT, 1.0)
    assert full.backend.requests[-1].output_format == GrammarFormat(quote_grammar([TEXT]))


def test_worst_hit_of_both_rankings_has_a_score(full: Desk) -> None:
    body = {"query": "cats dogs", "mode": "hybrid", "score_threshold": -1}
    hits = full.post("/v1/rag/search", **body).json()["data"]
    assert len(hits) == 2
    assert all(hit["score"] > 0 for hit in hits)


# In chat completions


def complete(desk: Desk, **body: object) -> httpx2.Response:
    given = {
        "model": MODEL_ID,
        "messages": [{"role": "user", "content": "when do cats sleep"}],
        "rag": {"collection": desk.collection, "top_k": 1, "verify": True},
        **body,
    }
    return desk.http.post("/v1/chat/completions", json=given)


def test_chat_completion_is_answered_from_documents_with_annotations(full: Desk) -> None:
    message = complete(full).json()["choices"][0]["message"]
    assert message["content"] == "Cats sleep long [1]."
    given, cited = [one["url_citation"] for one in message["annotations"]]
    assert (given["start_index"], given["end_index"], given["quote"]) == (0, 0, TEXT)
    assert (cited["start_index"], cited["end_index"], cited["quote"]) == (16, 19, TEXT)
    assert cited["document_id"] == "cats"
    assert full.http.get(cited["url"]).json()["text"] == TEXT
    rag = message["rag"]
    assert [one["document_id"] for one in rag["sources"]] == ["cats"]
    assert [one["supported"] for one in rag["support"]] == [True]


def test_streamed_deltas_add_up_to_the_same_annotations(full: Desk) -> None:
    lines = complete(full, stream=True).text.split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines if "{" in line]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    added = [one for delta in deltas for one in delta.get("annotations", [])]
    message = complete(full).json()["choices"][0]["message"]
    assert added == message["annotations"]
    merged = {key: value for delta in deltas for key, value in delta.get("rag", {}).items()}
    assert merged == message["rag"]


def test_answer_can_be_sent_back_as_it_came(full: Desk) -> None:
    message = complete(full).json()["choices"][0]["message"]
    follow_up = {"role": "user", "content": "how long do dogs bark"}
    asked = {"role": "user", "content": "when do cats sleep"}
    response = complete(full, messages=[asked, message, follow_up])
    assert response.status_code == 200, response.text


def test_each_choice_has_its_own_annotations(full: Desk) -> None:
    choices = complete(full, n=2).json()["choices"]
    assert [len(one["message"]["annotations"]) for one in choices] == [2, 2]


def test_answer_without_rag_has_none_of_its_fields(full: Desk) -> None:
    message = complete(full, rag=None).json()["choices"][0]["message"]
    assert not {"rag", "annotations"} & message.keys()


def test_rag_with_functions_of_the_server_is_refused(full: Desk) -> None:
    response = complete(full, server_tools=["get_weekday"])
    assert response.status_code == 400


def test_wrong_option_of_rag_is_named_by_its_place(full: Desk) -> None:
    rag = {"collection": full.collection, "filter": {"a": {"b": 1}}}
    assert error_of(complete(full, rag=rag)) == (400, "invalid_request", "rag.filter.a")
