import json
from urllib.parse import quote

import httpx2
import pytest

from tests.api.rag.conftest import Desk, error_of
from tests.live import wait_until


def by_id(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {one["id"]: one["status"] for one in answer.json()["documents"]}


def test_texts_with_metadata_are_stored_and_found(desk: Desk) -> None:
    metadata = [{"source": "docker-docs", "type": "definition"}, {"source": "cats", "year": 2020}]
    answer = desk.ingest("Docker packs programs.", "Cats sleep.", metadata=metadata)
    assert answer.status_code == 200
    ids = answer.json()["ids"]
    assert [one["status"] for one in answer.json()["documents"]] == ["created", "created"]
    stored = desk.get(f"/v1/rag/documents/{ids[0]}").json()
    assert (stored["text"], stored["metadata"]) == ("Docker packs programs.", metadata[0])


def test_the_same_again_changes_nothing_and_a_change_replaces(desk: Desk) -> None:
    first = [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]
    assert by_id(desk.post("/v1/rag/documents", documents=first)) == {
        "a": "created",
        "b": "created",
    }
    second = [{"id": "a", "text": "one"}, {"id": "b", "text": "three"}]
    again = desk.post("/v1/rag/documents", documents=second)
    assert by_id(again) == {"a": "unchanged", "b": "replaced"}
    found = desk.post("/v1/rag/search", query="two", mode="sparse").json()["data"]
    assert found == []


def test_text_without_an_id_is_its_own_identity(desk: Desk) -> None:
    first, second = desk.ingest("the words").json(), desk.ingest("the words").json()
    assert first["ids"] == second["ids"]
    assert second["documents"][0]["status"] == "unchanged"


def test_text_is_kept_as_it_was_sent_and_spans_hold_in_it(desk: Desk) -> None:
    text = "Rivers\x00 flow.\r\n\r\nLakes rest.\u2028Seas\fmove.\r\n"
    (id,) = desk.ingest(text).json()["ids"]
    assert desk.get(f"/v1/rag/documents/{id}").json()["text"] == text
    found = desk.post("/v1/rag/search", query="lakes rest", score_threshold=-1).json()["data"]
    assert found
    for hit in found:
        assert text[hit["span"]["start"] : hit["span"]["end"]] == hit["text"]


UNCARRIED = ["a\nb", "a\r", "\x00", "a\x85b", "a\u2028b", "..", "a/../b", "./a", "a/."]


@pytest.mark.parametrize("id", UNCARRIED)
def test_id_that_no_url_carries_is_refused_at_the_door(desk: Desk, id: str) -> None:
    for body in ({"texts": ["words"], "ids": [id]}, {"documents": [{"id": id, "text": "words"}]}):
        answer = desk.post("/v1/rag/documents", **body)
        status, code, param = error_of(answer)
        assert (status, code) == (400, "invalid_value")
        assert param in ("ids[0]", "documents[0].id")


@pytest.mark.parametrize(
    "id",
    ["https://x.example/a?b=1#c", "https://x.example/", "/etc/x", "a b", "%2F", "日本/👍🏽", "…"],
)
def test_any_other_id_is_read_changed_and_deleted_by_its_url(desk: Desk, id: str) -> None:
    assert desk.ingest("words", ids=[id]).json()["ids"] == [id]
    path = f"/v1/rag/documents/{quote(id, safe='')}"
    where = {"collection": desk.collection}
    assert desk.get(path).json()["id"] == id
    assert desk.http.patch(path, params=where, json={"metadata": {"a": 1}}).json()["id"] == id
    assert desk.http.delete(path, params=where).json()["deleted"] is True


def test_document_that_fails_is_named_and_the_others_are_stored(desk: Desk) -> None:
    documents = [{"id": "empty", "text": "  "}, {"id": "full", "text": "words"}]
    answer = desk.post("/v1/rag/documents", documents=documents).json()
    assert answer["ids"] == ["full"]
    assert answer["failed"] == 1
    assert answer["documents"][0] == {
        "id": "empty",
        "status": "failed",
        "chunks": 0,
        "error": "There are no words in it.",
    }


def test_ingest_of_which_nothing_can_be_stored_is_refused(desk: Desk) -> None:
    answer = desk.post("/v1/rag/documents", documents=[{"id": "empty", "text": " "}])
    assert error_of(answer)[:2] == (400, "invalid_request")
    assert "empty: There are no words in it." in answer.text


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "invalid_request", "texts"),
        ({"texts": ["a"], "documents": [{"text": "a"}]}, "invalid_request", "texts"),
        ({"texts": ["a"], "metadata": [{}, {}]}, "invalid_request", "metadata"),
        ({"texts": ["a"], "ids": []}, "invalid_request", "ids"),
        ({"documents": [{"text": "a"}], "metadata": [{}]}, "invalid_request", "metadata"),
        ({"texts": [1]}, "invalid_type", "texts[0]"),
        ({"documents": [{"id": "a"}]}, "missing_required_parameter", "documents[0].text"),
        ({"texts": ["a"], "chunk_size": 3}, "unsupported_parameter", "chunk_size"),
        ({"texts": ["a"], "collection": "../../etc"}, "invalid_request", "collection"),
        ({"texts": ["a"], "metadata": [{"a": {"b": 1}}]}, "invalid_type", "metadata[0].a"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    desk: Desk, body: dict[str, object], code: str, param: str
) -> None:
    body.setdefault("collection", desk.collection)
    answer = desk.http.post("/v1/rag/documents", json=body)
    assert error_of(answer) == (400, code, param)


def test_pages_hold_every_document_once(desk: Desk) -> None:
    desk.store(**{f"d{number}": f"text {number}" for number in range(7)})
    page = desk.get("/v1/rag/documents", limit="2").json()
    seen = [one["id"] for one in page["data"]]
    while page["has_more"]:
        page = desk.get("/v1/rag/documents", limit="2", cursor=page["next_cursor"]).json()
        assert 1 <= len(page["data"]) <= 2
        assert "text" not in page["data"][0]
        seen += [one["id"] for one in page["data"]]
    assert page["next_cursor"] is None
    assert sorted(seen) == [f"d{number}" for number in range(7)]


def test_documents_are_listed_and_deleted_by_filter(desk: Desk) -> None:
    years = [{"year": year} for year in (2019, 2021, 2023)]
    desk.ingest("a", "b", "c", metadata=years, ids=["a", "b", "c"])
    recent = json.dumps({"year": {"gte": 2021}})
    listed = desk.get("/v1/rag/documents", filter=recent).json()["data"]
    assert sorted(one["id"] for one in listed) == ["b", "c"]
    params = {"collection": desk.collection, "filter": recent}
    deleted = desk.http.delete("/v1/rag/documents", params=params)
    assert deleted.json() == {"object": "rag.documents.deleted", "deleted": 2}
    assert [one["id"] for one in desk.get("/v1/rag/documents").json()["data"]] == ["a"]


@pytest.mark.parametrize("filter", [None, "{}", '{"and": []}', "{", "[1]", "[" * 20_000])
def test_everything_is_not_deleted_by_an_oversight(desk: Desk, filter: str | None) -> None:
    desk.store(a="text")
    params = {"collection": desk.collection} | ({} if filter is None else {"filter": filter})
    assert error_of(desk.http.delete("/v1/rag/documents", params=params))[0] == 400
    assert desk.get("/v1/rag/documents/a").is_success


def test_metadata_and_title_are_replaced_and_nothing_is_embedded(desk: Desk) -> None:
    desk.store(a="text")
    requests = len(desk.embedder.requests)
    params = {"collection": desk.collection}
    changed = desk.http.patch(
        "/v1/rag/documents/a", params=params, json={"metadata": {"x": [1, 2]}, "title": "A"}
    ).json()
    assert (changed["metadata"], changed["title"]) == ({"x": [1, 2]}, "A")
    assert len(desk.embedder.requests) == requests
    found = desk.post("/v1/rag/search", query="text", filter={"x": 2}).json()["data"]
    assert [one["title"] for one in found] == ["A"]


def test_document_with_slashes_in_its_id_is_read_and_deleted(desk: Desk) -> None:
    desk.store(**{"docs/a b.md": "text"})
    assert desk.get("/v1/rag/documents/docs/a%20b.md").json()["text"] == "text"
    params = {"collection": desk.collection}
    deleted = desk.http.delete("/v1/rag/documents/docs/a%20b.md", params=params).json()
    assert deleted == {"id": "docs/a b.md", "object": "rag.document.deleted", "deleted": True}
    again = desk.http.delete("/v1/rag/documents/docs/a%20b.md", params=params)
    assert error_of(again)[:2] == (404, "document_not_found")


def test_unknown_document_and_collection_are_404(desk: Desk) -> None:
    assert error_of(desk.get("/v1/rag/documents/a"))[:2] == (404, "collection_not_found")
    desk.store(b="text")
    assert error_of(desk.get("/v1/rag/documents/a"))[:2] == (404, "document_not_found")


# Jobs


def test_large_ingest_is_a_job_that_tells_how_far_it_is(desk: Desk) -> None:
    documents = [{"id": f"d{n}", "text": f"text {n}"} for n in range(150)]
    documents[7]["text"] = ""
    answer = desk.post("/v1/rag/documents", documents=documents)
    assert answer.status_code == 202
    place = answer.headers["location"]
    assert answer.json()["state"] in ("queued", "running")
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    job = desk.http.get(place).json()
    assert (job["done"], job["total"]) == (150, 150)
    assert job["failures"] == {"d7": "There are no words in it."}
    described = desk.http.get(f"/v1/rag/collections/{desk.collection}").json()
    assert described["documents"] == 149
    assert job["id"] in [one["id"] for one in desk.http.get("/v1/rag/jobs").json()["data"]]


def test_job_is_cancelled_and_what_was_stored_stays(desk: Desk) -> None:
    desk.embedder.seconds = 0.3
    documents = [{"id": f"d{n}", "text": f"text {n}"} for n in range(2000)]
    answer = desk.post("/v1/rag/documents", documents=documents, background=True)
    place = answer.headers["location"]
    wait_until(lambda: desk.http.get(place).json()["done"] > 0, seconds=30)
    cancelled = desk.http.post(f"{place}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert 0 < cancelled["done"] < 2000
    described = desk.http.get(f"/v1/rag/collections/{desk.collection}").json()
    assert described["documents"] == cancelled["done"]


def test_small_ingest_can_be_a_job_and_a_large_one_can_be_waited_for(desk: Desk) -> None:
    assert desk.ingest("a", background=True).status_code == 202
    texts = [f"text {n}" for n in range(150)]
    assert len(desk.ingest(*texts, background=False).json()["ids"]) == 150


def test_job_that_nobody_started_is_404(desk: Desk) -> None:
    assert error_of(desk.http.get("/v1/rag/jobs/x"))[:2] == (404, "job_not_found")
    assert error_of(desk.http.post("/v1/rag/jobs/x/cancel"))[:2] == (404, "job_not_found")


# Collections


def test_collection_is_made_described_listed_and_deleted(desk: Desk) -> None:
    made = desk.http.post("/v1/rag/collections", json={"name": desk.collection}).json()
    assert made == {
        "name": desk.collection,
        "object": "rag.collection",
        "embedding_model": "words",
        "dimension": 64,
        "documents": 0,
        "word_rule": 2,
        "status": "ready",
        "damage": None,
        "chunks": 0,
        "tuned": None,
    }
    assert made in desk.http.get("/v1/rag/collections").json()["data"]
    place = f"/v1/rag/collections/{desk.collection}"
    assert desk.http.get(place).json() == made
    assert desk.http.delete(place).json()["deleted"]
    assert error_of(desk.http.get(place))[:2] == (404, "collection_not_found")
    assert error_of(desk.http.delete(place))[:2] == (404, "collection_not_found")


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/rag/documents?limit=0", "limit"),
        ("/v1/rag/documents?limit=x", "limit"),
        ("/v1/rag/documents/a?include_text=7", "include_text"),
        (f"/v1/rag/jobs/{'j' * 200}", "job_id"),
    ],
)
def test_a_bad_parameter_of_the_url_is_named(desk: Desk, path: str, param: str) -> None:
    response = desk.http.get(path)
    assert error_of(response)[::2] == (400, param)
    assert response.json()["error"]["message"].startswith(f"Invalid value for '{param}': ")
