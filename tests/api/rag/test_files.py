"""Files on the wire: of every kind, broken and hostile ones; and forms that mean nothing."""

import socket
import tempfile
import time
from io import FileIO
from pathlib import Path

import httpx2
import pytest

from tests.api.rag.conftest import Desk, error_of
from tests.core.rag.loaders.files import docx, encrypted_pdf, paragraph, pdf
from tests.live import wait_until

FILES = {
    "a.txt": b"plain words of rivers",
    "a.md": b"# Rivers\n\nwords of rivers",
    "a.html": b"<title>T</title><p>words of <b>rivers</b></p><script>evil()</script>",
    "a.pdf": pdf(["words of rivers"]),
    "a.docx": docx(paragraph("words of rivers")),
    "a.csv": b"kind,words\nriver,long rivers\n",
    "a.json": b'{"words": "of rivers"}',
    "a.jsonl": b'{"words": "of rivers"}\n{"more": "rivers"}\n',
    "a.py": b"def rivers():\n    return 'words'\n",
}


def upload(desk: Desk, files: dict[str, bytes], **fields: str) -> httpx2.Response:
    given = [("files", (name, data)) for name, data in files.items()]
    return desk.http.post(
        "/v1/rag/files", files=given, data={"collection": desk.collection, **fields}
    )


def test_files_of_every_kind_are_found_by_their_words(desk: Desk) -> None:
    answer = upload(desk, FILES).json()
    assert answer["ids"] == list(FILES)
    found = desk.post("/v1/rag/search", query="rivers", top_k=100, score_threshold=-1).json()
    assert {one["document_id"] for one in found["data"]} == set(FILES)
    assert "evil" not in found["data"][0]["text"]


def test_file_keeps_its_name_and_the_forms_metadata(desk: Desk) -> None:
    upload(desk, {"a.md": FILES["a.md"]}, metadata='{"team": "docs", "tags": ["x"]}')
    stored = desk.get("/v1/rag/documents/a.md").json()
    assert stored["title"] == "Rivers"
    assert stored["metadata"]["source"] == "a.md"
    assert (stored["metadata"]["team"], stored["metadata"]["tags"]) == ("docs", ["x"])


DAMAGED = ("Grüße, 日本語. " * 50).encode() + b"\xe6\x97"
NAMED = "1 character is not valid in utf-8, and stands as \ufffd."


def test_what_could_not_be_read_is_named_in_the_answer(desk: Desk) -> None:
    first, second = upload(desk, {"a.txt": DAMAGED, "b.txt": b"words"}).json()["documents"]
    assert (first["status"], first["warnings"]) == ("created", [NAMED])
    assert "warnings" not in second


def test_what_could_not_be_read_is_named_in_the_job(desk: Desk) -> None:
    place = upload(desk, {"a.txt": DAMAGED}, background="true").headers["location"]
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    assert desk.http.get(place).json()["warnings"] == {"a.txt": [NAMED]}


def test_charset_of_a_part_wins(desk: Desk) -> None:
    part = ("a.csv", b"a,b\n\xc4,\xd6\n", "text/csv; charset=koi8-r")
    desk.http.post("/v1/rag/files", files={"file": part}, data={"collection": desk.collection})
    assert desk.get("/v1/rag/documents/a.csv").json()["text"] == "a: д\nb: ж\n\n"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("filename*=UTF-8''na%C3%AFve%20one.txt", "naïve one.txt"),
        ("filename*=iso-8859-1'en'M%FCller.txt", "Müller.txt"),
        ("filename=a.txt; filename*=UTF-8''b.txt", "a.txt"),
        ("filename*=UTF-8''a%22b.txt", 'a"b.txt'),
    ],
)
def test_file_is_known_by_an_encoded_name_alone(desk: Desk, said: str, name: str) -> None:
    file = f'--x\r\ncontent-disposition: form-data; name="file"; {said}\r\n\r\nwords\r\n'
    where = 'content-disposition: form-data; name="collection"'
    body = f"{file}--x\r\n{where}\r\n\r\n{desk.collection}\r\n--x--\r\n"
    answer = desk.http.post(
        "/v1/rag/files",
        content=body.encode(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert answer.json()["ids"] == [name]


def test_changed_file_replaces_what_was_stored_of_it(desk: Desk) -> None:
    upload(desk, {"a.txt": b"old words"})
    assert upload(desk, {"a.txt": b"old words"}).json()["documents"][0]["status"] == "unchanged"
    assert upload(desk, {"a.txt": b"new words"}).json()["documents"][0]["status"] == "replaced"
    assert desk.get("/v1/rag/documents/a.txt").json()["text"] == "new words"


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("docs/guide.txt", "docs/guide.txt"),
        ("a\u202etxt.exe", "atxt.exe"),
    ],
)
def test_name_is_a_label_and_leads_out_of_no_folder(desk: Desk, name: str, id: str) -> None:
    assert upload(desk, {name: b"words"}).json()["ids"] == [id]
    assert desk.get(f"/v1/rag/documents/{id}").json()["text"] == "words"


def bomb() -> bytes:
    return docx(paragraph("words"), **{"word/media/x.xml": bytes(100_000_000)})


def test_hostile_files_are_named_and_the_others_are_stored(desk: Desk) -> None:
    hostile = {
        "bomb.docx": bomb(),
        "secret.pdf": encrypted_pdf(),
        "broken.pdf": b"%PDF-1.7 nothing",
        "noise.txt": bytes(range(256)) * 40,
        "empty.txt": b"",
    }
    files = {**hostile, "good.txt": b"words", "pdf.txt": FILES["a.pdf"]}
    answer = upload(desk, files, background="false").json()
    assert answer["ids"] == ["good.txt", "pdf.txt"]
    errors = {one["id"]: one["error"] for one in answer["documents"] if one["status"] == "failed"}
    assert set(errors) == set(hostile)
    assert "unpacks" in errors["bomb.docx"]
    assert "encrypted" in errors["secret.pdf"]
    assert desk.http.get("/health").is_success


def test_single_file_that_cannot_be_read_is_refused(desk: Desk) -> None:
    answer = upload(desk, {"secret.pdf": encrypted_pdf()})
    assert error_of(answer)[:2] == (400, "invalid_request")
    assert "secret.pdf: It is encrypted" in answer.text


def test_file_beyond_the_limit_is_refused_and_not_cut(desk: Desk) -> None:
    answer = upload(desk, {"large.txt": b"words " * 8_400_000}, background="false")
    assert error_of(answer)[0] == 400
    assert "larger than 50,000,000 bytes" in answer.text


def test_one_large_file_is_a_job_as_many_are(desk: Desk) -> None:
    answer = upload(desk, {"one.txt": b"some words " * 10_000})
    assert answer.status_code == 202
    place = answer.headers["location"]
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    assert desk.get("/v1/rag/documents/one.txt").json()["characters"] > 100_000


def test_upload_that_its_client_left_goes_no_further(desk: Desk) -> None:
    desk.embedder.seconds = 0.3
    before = len(desk.embedder.requests)
    request = desk.http.build_request(
        "POST",
        "/v1/rag/files",
        files=[("files", ("left.txt", b"some words " * 300_000))],
        data={"collection": desk.collection, "background": "false"},
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    url = desk.http.base_url
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(f"POST /v1/rag/files HTTP/1.1\r\n{head}\r\n".encode())
        connection.sendall(request.read())
        wait_until(lambda: len(desk.embedder.requests) > before, seconds=30)
    time.sleep(0.5)
    begun = len(desk.embedder.requests)
    assert begun < before + 5
    time.sleep(1.0)
    assert len(desk.embedder.requests) == begun
    assert desk.get("/v1/rag/documents/left.txt").status_code == 404


def test_many_files_are_a_job(desk: Desk) -> None:
    files = {f"f{number}.txt": b"some words " * 2000 for number in range(6)}
    answer = upload(desk, {**files, "bad.pdf": b"%PDF-"})
    assert answer.status_code == 202
    place = answer.headers["location"]
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    job = desk.http.get(place).json()
    assert (job["done"], list(job["failures"])) == (7, ["bad.pdf"])


@pytest.mark.parametrize(
    ("files", "fields", "param"),
    [
        ({}, {}, "files"),
        ({"a.txt": b"a"}, {"metadata": "{"}, "metadata"),
        ({"a.txt": b"a"}, {"metadata": "[]"}, "metadata"),
        ({"a.txt": b"a"}, {"metadata": '{"a": {"b": 1}}'}, "metadata"),
        ({"a.txt": b"a"}, {"background": "maybe"}, "background"),
        ({"a.txt": b"a"}, {"chunk": "1"}, "chunk"),
        ({"x/a.txt": b"a", "/x/a.txt": b"b"}, {}, "files"),
    ],
)
def test_form_that_means_nothing_is_refused_by_its_field(
    desk: Desk, files: dict[str, bytes], fields: dict[str, str], param: str
) -> None:
    if not files:
        answer = desk.http.post(
            "/v1/rag/files", files=[("files", (None, "text"))], data={"collection": "x"}
        )
    else:
        answer = upload(desk, files, **fields)
    assert (answer.status_code, error_of(answer)[2]) == (400, param)


FORM = b"".join(
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\nwords\r\n' % name
    for name in (b"a.txt", b"b.txt")
)
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize("end", [b"", b"--x", b"--x-", b"--x\r\n"])
@pytest.mark.parametrize("cut", [0, 2, 20, len(FORM) // 2])
def test_form_without_its_closing_boundary_is_refused_and_nothing_of_it_stored(
    desk: Desk, end: bytes, cut: int
) -> None:
    where = {"collection": desk.collection}
    body = FORM[: len(FORM) - cut] + (end if not cut else b"")
    answer = desk.http.post("/v1/rag/files", content=body, headers=MULTIPART, params=where)
    assert error_of(answer)[:2] == (400, "invalid_form")
    assert "cut off" in answer.text
    whole = FORM + (
        b'--x\r\nContent-Disposition: form-data; name="collection"\r\n\r\n%s\r\n--x--'
        % desk.collection.encode()
    )
    stored = desk.http.post("/v1/rag/files", content=whole, headers=MULTIPART).json()
    assert [one["status"] for one in stored["documents"]] == ["created", "created"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_temporary_disk_is_507(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FileIO("/dev/full", "r+"))
    answer = upload(desk, {"large.txt": b"words " * 400_000})
    assert error_of(answer)[:2] == (507, "storage_full")
    monkeypatch.undo()
    assert upload(desk, {"a.txt": b"words"}).is_success


def test_body_that_is_no_form_is_refused(desk: Desk) -> None:
    answer = desk.http.post("/v1/rag/files", json={"files": []})
    assert error_of(answer)[:2] == (415, "unsupported_content_type")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    broken = desk.http.post("/v1/rag/files", content=b"--y\r\nnothing", headers=headers)
    assert error_of(broken)[0] == 400
