"""Folders compared with what is stored of them, on the wire."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from tests.api.rag.conftest import Desk, error_of
from tests.live import wait_until

FOLDER = {f"docs/{name}.txt": f"words of {name}".encode() for name in "abcdefghij"}
UNREADABLE = b"%PDF-1.7 nothing"


def sync(desk: Desk, files: Mapping[str, bytes], **more: object) -> httpx2.Response:
    listed = [{"path": path, "sha256": sha256(data).hexdigest()} for path, data in files.items()]
    return desk.post("/v1/rag/sync", source="docs", files=listed, **more)


def said(desk: Desk, files: Mapping[str, bytes], **more: object) -> dict[str, Any]:
    answer = sync(desk, files, **more)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def upload(desk: Desk, files: Mapping[str, bytes], **fields: str) -> httpx2.Response:
    given = [("files", (path, data)) for path, data in files.items()]
    form = {"collection": desk.collection, "background": "false", **fields}
    return desk.http.post("/v1/rag/files", files=given, data=form)


def test_what_is_new_changed_and_gone_is_said(desk: Desk) -> None:
    assert said(desk, FOLDER)["new"] == [*FOLDER]
    upload(desk, FOLDER)
    assert said(desk, FOLDER)["unchanged"] == 10
    now = {**FOLDER, "docs/a.txt": b"other words", "docs/x.txt": b"new"}
    del now["docs/j.txt"]
    found = said(desk, now, is_complete=True, delete=False)
    assert (found["new"], found["changed"]) == (["docs/x.txt"], ["docs/a.txt"])
    assert (found["gone"], found["deleted"], found["unchanged"]) == (["docs/j.txt"], 0, 8)
    assert said(desk, now)["gone"] == []


def test_complete_list_deletes_what_it_lacks_and_nothing_of_others(desk: Desk) -> None:
    upload(desk, {**FOLDER, "docs2/a.txt": b"a", "other.txt": b"b"})
    upload(desk, {"docs/own.txt": b"c"}, metadata='{"source_root": "docs@123"}')
    desk.store(**{"docs/text.txt": "sent as a text"})
    now = dict(list(FOLDER.items())[:9])
    found = said(desk, now, is_complete=True)
    assert (found["gone"], found["deleted"]) == (["docs/j.txt"], 1)
    left = {one["id"] for one in desk.get("/v1/rag/documents").json()["data"]}
    assert left == {*now, "docs2/a.txt", "other.txt", "docs/own.txt", "docs/text.txt"}


def test_large_share_goes_confirmed_alone(desk: Desk) -> None:
    upload(desk, FOLDER)
    now = dict(list(FOLDER.items())[:7])
    refused = sync(desk, now, is_complete=True)
    assert error_of(refused) == (400, "too_many_deletions", "confirm")
    assert "lacks 3 of the 10 documents of 'docs'" in refused.text
    assert error_of(sync(desk, {}, is_complete=True))[1] == "too_many_deletions"
    assert len(desk.get("/v1/rag/documents").json()["data"]) == 10
    assert said(desk, now, is_complete=True, max_deleted_share=0.3)["deleted"] == 3
    assert said(desk, {}, is_complete=True, confirm=True)["deleted"] == 7


def test_file_that_cannot_be_read_is_not_asked_for_until_it_changes(desk: Desk) -> None:
    files = {"docs/bad.pdf": UNREADABLE, "docs/good.txt": b"words", "docs/blank.txt": b" \n"}
    upload(desk, files)
    found = said(desk, files)
    assert (found["new"], found["changed"], found["unchanged"]) == ([], [], 1)
    assert [one["path"] for one in found["failed"]] == ["docs/bad.pdf", "docs/blank.txt"]
    assert all(one["error"] for one in found["failed"])
    assert said(desk, {"docs/bad.pdf": b"better"})["new"] == ["docs/bad.pdf"]
    assert said(desk, files, retry_failed=True)["new"] == ["docs/bad.pdf", "docs/blank.txt"]


def test_failure_of_a_job_is_remembered_as_well(desk: Desk) -> None:
    place = upload(desk, {"docs/bad.pdf": UNREADABLE}, background="true").headers["location"]
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    assert [one["path"] for one in said(desk, {"docs/bad.pdf": UNREADABLE})["failed"]] == [
        "docs/bad.pdf"
    ]


def test_file_that_a_job_is_to_store_is_running(desk: Desk) -> None:
    desk.embedder.seconds = 0.5
    place = upload(desk, FOLDER, background="true").headers["location"]
    found = said(desk, {**FOLDER, "docs/a.txt": b"changed meanwhile"})
    assert (found["running"], found["new"]) == ([*FOLDER][1:], ["docs/a.txt"])
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    assert said(desk, FOLDER)["unchanged"] == 10


def test_long_list_comes_in_ranges(desk: Desk) -> None:
    upload(desk, FOLDER)
    first = {path: data for path, data in FOLDER.items() if path <= "docs/e.txt"}
    found = said(desk, first, is_complete=True, through="docs/e.txt")
    assert (found["unchanged"], found["gone"]) == (5, [])
    found = said(desk, {}, is_complete=True, delete=False, after="docs/e.txt")
    assert found["gone"] == [*FOLDER][5:]


def test_file_of_another_folder_of_that_name_is_never_replaced(desk: Desk) -> None:
    upload(desk, {"docs/a.txt": b"a"}, metadata='{"source_root": "docs@1"}')
    answer = sync(desk, {"docs/a.txt": b"b"}, root="docs@2")
    assert error_of(answer)[:2] == (400, "invalid_request")
    assert "from another folder of that name" in answer.text
    assert said(desk, {"docs/a.txt": b"b"}, root="docs@1")["changed"] == ["docs/a.txt"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"files": [{"path": "other/a.txt", "sha256": "0" * 64}]}, "files[0].path"),
        ({"files": [{"path": "docs/../a.txt", "sha256": "0" * 64}]}, "files[0].path"),
        ({"files": [{"path": "docs/a.txt", "sha256": "0" * 64}] * 2}, "files[1].path"),
        ({"files": [{"path": "docs/a.txt", "sha256": "no"}]}, "files[0].sha256"),
        ({"files": [{"path": f"docs/{n}", "sha256": "0" * 64} for n in range(20_001)]}, "files"),
        ({"files": [], "max_deleted_share": 1.1}, "max_deleted_share"),
        ({}, "files"),
    ],
)
def test_list_that_means_nothing_is_refused_by_its_field(
    desk: Desk, body: dict[str, object], param: str
) -> None:
    answer = desk.post("/v1/rag/sync", source="docs", **body)
    assert (answer.status_code, error_of(answer)[2]) == (400, param)


def test_report_says_what_is_there_what_failed_and_what_is_stale(desk: Desk) -> None:
    files = {**FOLDER, "docs/bad.pdf": UNREADABLE}
    upload(desk, files, metadata='{"source_root": "docs@1"}')
    desk.store(text="a text")
    now = {**files, "docs/a.txt": b"other words"}
    del now["docs/b.txt"]
    said(desk, now, root="docs@1", is_complete=True, delete=False)
    path = f"/v1/rag/collections/{desk.collection}/report"
    found = desk.http.get(path).json()
    assert (found["documents"], found["embedding_model"]) == (11, "words")
    docs, text = found["sources"]
    assert (docs["type"], docs["name"], docs["documents"]) == ("folder", "docs", 10)
    assert docs["last_synced_at"] >= docs["last_stored_at"] > 0
    assert (text["type"], text["documents"], text["last_synced_at"]) == ("text", 1, None)
    assert [one["kind"] for one in found["kinds"]] == ["text"]
    assert [one["document_id"] for one in found["failed"]["data"]] == ["docs/bad.pdf"]
    stale = {one["document_id"]: one["reason"] for one in found["stale"]["data"]}
    assert list(stale) == ["docs/a.txt", "docs/b.txt"] or list(stale) == [
        "docs/b.txt",
        "docs/a.txt",
    ]
    assert "changed" in stale["docs/a.txt"]
    assert "gone" in stale["docs/b.txt"]
    upload(desk, {"docs/a.txt": b"other words"}, metadata='{"source_root": "docs@1"}')
    assert desk.http.get(path, params={"limit": "0"}).json()["stale"] == {"total": 1, "data": []}
    missing = desk.http.get("/v1/rag/collections/nothing-here/report")
    assert error_of(missing)[:2] == (404, "collection_not_found")
