"""`/v1/files` on the wire: what the SDK asks, what strangers send, what a browser may run."""

import io
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from llm_api.api import given_files
from llm_api.api.policy import Access
from llm_api.core.files import uploads as core_uploads
from llm_api.core.llm.types import ChatPrompt
from tests.api.keyed import BEARER, keyed_app, talking_to
from tests.fakes import MODEL_ID, FakeBackend, FakeServices

MULTIPART = "multipart/form-data; boundary=x"


async def stored(client: httpx2.AsyncClient, data: bytes = b"words", **fields: str) -> Any:
    answer = await client.post(
        "/v1/files",
        files={"file": ("notes.txt", data, "text/plain")},
        data={"purpose": "user_data", **fields},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_sdk_stores_lists_reads_and_deletes(base_url: str) -> None:
    with OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as sdk:
        made = sdk.files.create(
            file=("größe.txt", io.BytesIO(b"words of rivers")),
            purpose="assistants",
            expires_after={"anchor": "created_at", "seconds": 7200},
        )
        assert (made.object, made.bytes, made.filename) == ("file", 15, "größe.txt")
        assert made.expires_at == made.created_at + 7200
        other = sdk.files.create(file=b"{}", purpose="batch")
        assert sdk.files.retrieve(made.id) == made
        assert sdk.files.wait_for_processing(made.id).status == "processed"
        assert [one.id for one in sdk.files.list(limit=1)] == [other.id, made.id]
        assert [one.id for one in sdk.files.list(order="asc")] == [made.id, other.id]
        assert [one.id for one in sdk.files.list(purpose="batch")] == [other.id]
        assert sdk.files.content(made.id).read() == b"words of rivers"
        assert sdk.files.delete(made.id).deleted
        for ask in (sdk.files.retrieve, sdk.files.content, sdk.files.delete):
            with pytest.raises(openai.NotFoundError):
                ask(made.id)


def test_the_sdk_uploads_a_file_in_parts(base_url: str) -> None:
    data = bytes(range(256)) * 1000
    with OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as sdk:
        upload = sdk.uploads.upload_file_chunked(
            file=data,
            filename="data.bin",
            bytes=len(data),
            mime_type="application/octet-stream",
            purpose="user_data",
            part_size=100_000,
        )
        assert upload.status == "completed"
        assert upload.file is not None
        assert upload.file.filename == "data.bin"
        assert sdk.files.content(upload.file.id).read() == data
        begun = sdk.uploads.create(
            bytes=4, filename="a.txt", mime_type="text/plain", purpose="assistants"
        )
        part = sdk.uploads.parts.create(begun.id, data=b"abcd")
        assert (part.object, part.upload_id) == ("upload.part", begun.id)
        with pytest.raises(openai.BadRequestError, match="MD5"):
            sdk.uploads.complete(begun.id, part_ids=[part.id], md5="0" * 32)
        assert sdk.uploads.cancel(begun.id).status == "cancelled"


async def test_content_is_saved_and_runs_in_no_browser(client: httpx2.AsyncClient) -> None:
    file = ("a\"b/../'é;.html", b"<script>evil()</script>", "text/html; charset=utf-8")
    made = await client.post("/v1/files", files={"file": file}, data={"purpose": "vision"})
    content = await client.get(f"/v1/files/{made.json()['id']}/content")
    assert content.content == b"<script>evil()</script>"
    headers = content.headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-length"] == "23"
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''%27%C3%A9%3B.html"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox")
    head = await client.head(f"/v1/files/{made.json()['id']}/content")
    assert (head.status_code, head.content) == (200, b"")


async def test_list_names_its_ends(client: httpx2.AsyncClient) -> None:
    empty = (await client.get("/v1/files")).json()
    assert empty == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    made = [await stored(client) for _ in range(3)]
    page = (await client.get("/v1/files?limit=2&order=asc")).json()
    assert page["data"] == made[:2]
    assert (page["first_id"], page["last_id"]) == (made[0]["id"], made[1]["id"])
    assert page["has_more"]
    rest = (await client.get(f"/v1/files?order=asc&after={made[1]['id']}")).json()
    assert (rest["data"], rest["has_more"]) == ([made[2]], False)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "purpose", "missing_required_parameter"),
        ({"purpose": "mischief"}, "purpose", "invalid_request"),
        ({"purpose": "batch", "extra": "x"}, "extra", "invalid_request"),
        (
            {"purpose": "batch", "expires_after[seconds]": "7200"},
            "expires_after[anchor]",
            "invalid_request",
        ),
        *(
            (
                {
                    "purpose": "batch",
                    "expires_after[anchor]": "created_at",
                    "expires_after[seconds]": seconds,
                },
                "expires_after[seconds]",
                "invalid_request",
            )
            for seconds in ("", "60", "-7200", "1e4", "9" * 4000, "٣٦٠٠")
        ),
    ],
)
async def test_field_that_means_nothing_is_refused_by_name(
    client: httpx2.AsyncClient, fields: dict[str, str], param: str, code: str
) -> None:
    answer = await client.post("/v1/files", files={"file": ("a", b"x")}, data=fields)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)
    assert (await client.get("/v1/files")).json()["data"] == []


@pytest.mark.parametrize(
    "part",
    [
        'name="file"\r\n\r\nwords',  # no file name
        'name="file"; filename=""\r\n\r\nwords',
        'name="file"; filename="../.."\r\n\r\nwords',
        'name="file"; filename="a.txt"\r\n\r\n',  # empty
        'name="other"; filename="a.txt"\r\n\r\nwords',
    ],
)
async def test_part_that_is_no_file_is_refused(client: httpx2.AsyncClient, part: str) -> None:
    purpose = '--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    body = f"{purpose}--x\r\ncontent-disposition: form-data; {part}\r\n--x--\r\n"
    answer = await client.post("/v1/files", content=body, headers={"content-type": MULTIPART})
    assert answer.status_code == 400
    assert (await client.get("/v1/files")).json()["data"] == []


async def test_body_that_is_cut_off_stores_nothing(client: httpx2.AsyncClient) -> None:
    head = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nwords'
    answer = await client.post("/v1/files", content=head, headers={"content-type": MULTIPART})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_form")


async def test_part_beyond_its_bound_is_told_as_too_large(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_uploads, "MAX_PART_BYTES", 10)
    new = {"bytes": 20, "filename": "a", "mime_type": "text/plain", "purpose": "batch"}
    upload = (await client.post("/v1/uploads", json=new)).json()
    answer = await client.post(
        f"/v1/uploads/{upload['id']}/parts", files={"data": ("a", b"x" * 11)}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")


async def test_endless_body_ends_at_the_bound_of_bodies(services: FakeServices) -> None:
    taken = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal taken
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while True:
            taken += 100_000
            yield b"x" * 100_000

    app = keyed_app(services, access=Access(allowed_hosts=None, max_upload_bytes=2_000_000))
    async with talking_to(app, **BEARER, content_type=MULTIPART) as client:
        answer = await client.post("/v1/files", content=endless())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert taken <= 2_200_000
    assert not services.files.folder.exists()


async def test_file_is_read_into_a_response_a_message_and_a_chat(
    client: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    id = (await stored(client, "Flüsse: die Donau.".encode("latin-1")))["id"]
    part = {"type": "input_file", "file_id": id}
    asked = {"model": MODEL_ID, "input": [{"role": "user", "content": [part]}]}
    assert (await client.post("/v1/responses", json=asked)).is_success
    block = {"type": "document", "source": {"type": "file", "file_id": id}}
    message = {"role": "user", "content": [block, {"type": "text", "text": "What?"}]}
    told = {"model": MODEL_ID, "max_tokens": 9, "messages": [message]}
    assert (await client.post("/v1/messages", json=told)).is_success
    parts = [{"type": "file", "file": {"file_id": id}}, {"type": "text", "text": "What?"}]
    said = {"model": MODEL_ID, "messages": [{"role": "user", "content": parts}]}
    assert (await client.post("/v1/chat/completions", json=said)).is_success
    assert len(backend.requests) == 3
    for request in backend.requests:
        assert isinstance(request.prompt, ChatPrompt)
        assert "die Donau." in request.prompt.messages[-1].content


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (
            "/v1/chat/completions",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-x"}}]}
                ]
            },
            "messages[0].content[0].file.file_id",
        ),
        (
            "/v1/responses",
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-x"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            "/v1/messages",
            {
                "max_tokens": 9,
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "document", "source": {"type": "file", "file_id": "file-x"}}
                        ],
                    }
                ],
            },
            "messages[0].content[0].source.file_id",
        ),
    ],
)
async def test_file_that_is_not_there_is_refused_where_it_is_named(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any], param: str
) -> None:
    answer = await client.post(path, json={"model": MODEL_ID, **body})
    assert answer.status_code == 404
    assert answer.json()["error"].get("param", param) == param


async def test_files_of_one_request_are_bounded_together(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given_files, "MAX_NAMED_BYTES", 9)
    part = {"type": "input_file", "file_id": (await stored(client))["id"]}
    asked = {"model": MODEL_ID, "input": [{"role": "user", "content": [part, part]}]}
    answer = await client.post("/v1/responses", json=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")
    assert answer.json()["error"]["param"] == "input[0].content[1].file_id"
