"""What does not exist, what is too much, what makes no sense: answered in OpenAI's words."""

from typing import Any

import pytest

from tests.api.vector_stores.conftest import Shelf

GONE = "vs_gone"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/search", {"query": "x"}),
        ("GET", "/files", None),
        ("GET", "/files/file-1", None),
        ("POST", "/files/file-1", {"attributes": {}}),
        ("DELETE", "/files/file-1", None),
        ("GET", "/files/file-1/content", None),
        ("POST", "/files", {"file_id": "file-1"}),
        ("POST", "/file_batches", {"file_ids": ["file-1"]}),
        ("GET", "/file_batches/vsfb_1", None),
        ("POST", "/file_batches/vsfb_1/cancel", None),
        ("GET", "/file_batches/vsfb_1/files", None),
    ],
)
def test_unknown_store_is_not_found(
    shelf: Shelf, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = shelf.http.request(method, f"/v1/vector_stores/{GONE}{path}", json=body)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["message"] == f"Vector store with id '{GONE}' not found."
    assert (error["type"], error["code"]) == ("invalid_request_error", "vector_store_not_found")


def test_unknown_files_and_batches_are_not_found(shelf: Shelf) -> None:
    store = shelf.filled(a="A page.")
    known = shelf.upload("Another page.")
    cases: list[tuple[str, str, dict[str, Any] | None, str]] = [
        ("GET", "/files/file-1", None, "vector_store_file_not_found"),
        ("DELETE", "/files/file-1", None, "vector_store_file_not_found"),
        ("POST", "/files/file-1", {"attributes": {}}, "vector_store_file_not_found"),
        ("GET", "/files/file-1/content", None, "vector_store_file_not_found"),
        ("GET", "/file_batches/vsfb_1", None, "file_batch_not_found"),
        ("POST", "/files", {"file_id": "file-1"}, "file_not_found"),
        ("POST", "/file_batches", {"file_ids": [known, "file-1"]}, "file_not_found"),
    ]
    for method, path, body, code in cases:
        answer = shelf.http.request(method, f"/v1/vector_stores/{store}{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
    # Of a batch with a file that is not there, none is attached; nor is there a store of it.
    assert shelf.sdk.vector_stores.retrieve(store).file_counts.total == 1
    made = shelf.http.post("/v1/vector_stores", json={"name": "never", "file_ids": ["file-1"]})
    assert made.status_code == 404
    assert "never" not in [one.name for one in shelf.sdk.vector_stores.list(limit=100)]


STATIC = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"file_ids": [f"file-{n}" for n in range(10_000)]}, "file_ids"),
        ({"files": [{"file_id": f"file-{n}"} for n in range(10_000)]}, "files"),
        ({"file_ids": []}, "file_ids"),
        ({}, "file_ids"),
        ({"file_ids": ["a"], "files": [{"file_id": "b"}]}, "files"),
        ({"files": [{"file_id": "a"}], "attributes": {"x": 1}}, "files"),
        ({"file_ids": ["a"], "attributes": {str(n): n for n in range(17)}}, "attributes"),
        ({"file_ids": ["a"], "chunking_strategy": {"type": "other"}}, "chunking_strategy"),
    ],
)
def test_batch_that_makes_no_sense_is_refused(
    shelf: Shelf, body: dict[str, Any], param: str
) -> None:
    answer = shelf.http.post("/v1/vector_stores/default/file_batches", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    "change",
    [
        {"max_chunk_size_tokens": 99},
        {"max_chunk_size_tokens": 4097},
        {"chunk_overlap_tokens": 51},
        {"chunk_overlap_tokens": -1},
    ],
)
def test_chunks_have_bounds(shelf: Shelf, change: dict[str, int]) -> None:
    strategy = {"type": "static", "static": STATIC | change}
    answer = shelf.http.post("/v1/vector_stores", json={"chunking_strategy": strategy})
    (name,) = change
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].endswith(f"static.{name}")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": []}, "query"),
        ({"query": ["x"] * 17}, "query"),
        ({"query": "x", "max_num_results": 51}, "max_num_results"),
        ({"query": "x", "filters": {"type": "like", "key": "a", "value": "b"}}, "filters"),
        ({"query": "x", "filters": {"key": "a", "value": "b"}}, "filters"),
        ({"query": "x", "filters": {"type": "and", "filters": [{"type": "eq"}]}}, "filters"),
        ({"query": "x", "filters": {"type": "gt", "key": "a", "value": "b"}}, "filters"),
        ({"query": "x", "ranking_options": {"ranker": "mine"}}, "ranking_options"),
        ({"query": "x", "ranking_options": {"score_threshold": 2}}, "ranking_options"),
        (
            {
                "query": "x",
                "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}},
            },
            "ranking_options.hybrid_search",
        ),
    ],
)
def test_search_that_makes_no_sense_is_refused(
    shelf: Shelf, body: dict[str, Any], param: str
) -> None:
    store = shelf.store()
    answer = shelf.http.post(f"/v1/vector_stores/{store}/search", json=body)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"] or "").startswith(param)


def test_filter_nested_too_deep_is_refused(shelf: Shelf) -> None:
    nested: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(9):
        nested = {"type": "and", "filters": [nested]}
    body = {"query": "x", "filters": nested}
    answer = shelf.http.post(f"/v1/vector_stores/{shelf.store()}/search", json=body)
    assert answer.status_code == 400


def test_cursor_that_no_page_gave_is_refused(shelf: Shelf) -> None:
    answer = shelf.http.get("/v1/vector_stores", params={"after": "vs_gone"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")


def test_files_that_cannot_be_read_fail_and_say_why(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = shelf.store()
    program = shelf.sdk.files.create(file=("a.bin", b"\x7fELF" + bytes(64)), purpose="assistants")
    blank = shelf.upload(" \n ", "blank.txt")
    for file, code in ((program.id, "unsupported_file"), (blank, "invalid_file")):
        ended = stores.files.create_and_poll(file, vector_store_id=store)
        assert ended.status == "failed"
        assert ended.last_error is not None
        assert (ended.last_error.code, bool(ended.last_error.message)) == (code, True)
        assert list(stores.files.content(file, vector_store_id=store)) == []
    counts = stores.retrieve(store).file_counts
    assert (counts.failed, counts.completed, counts.total) == (2, 0, 2)
    assert len(list(stores.files.list(store, filter="failed"))) == 2
    assert stores.files.delete(program.id, vector_store_id=store).deleted
    assert stores.retrieve(store).file_counts.total == 1
