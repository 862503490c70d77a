"""Web pages as documents, on the wire."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.api.rag.conftest import Desk, Served, error_of
from tests.core.rag.web.sites import Said, Sites, moved, page
from tests.live import wait_until

SITE = "https://example.com"


@pytest.fixture
def sites(served: Served) -> Iterator[Sites]:
    yield served.sites
    for kept in (served.sites.said, served.sites.addresses):
        kept.clear()
    served.sites.requests.clear()


def urls(desk: Desk, *pages: str, **more: object) -> httpx2.Response:
    return desk.post("/v1/rag/urls", urls=[f"{SITE}{one}" for one in pages], **more)


def outcomes(answer: httpx2.Response) -> list[tuple[str, str]]:
    assert answer.is_success, answer.text
    return [(one["id"], one["status"]) for one in answer.json()["documents"]]


def test_page_is_a_document_under_the_url_it_was_found_at(desk: Desk, sites: Sites) -> None:
    sites.said[f"{SITE}/old"] = moved("/new#part", 301)
    body = b"<html><head><title>Rivers</title></head><body><p>words of long rivers</p></body>"
    headers = {"content-type": "text/html; charset=utf-8", "etag": '"1"'}
    sites.said[f"{SITE}/new"] = Said(body, headers=headers)
    answer = urls(desk, "/old", metadata={"team": "docs"})
    assert outcomes(answer) == [(f"{SITE}/new", "created")]
    assert answer.json()["ids"] == [f"{SITE}/new"]
    stored = desk.get(f"/v1/rag/documents/{SITE}/new").json()
    assert stored["title"] == "Rivers"
    known = stored["metadata"]
    assert (known["url"], known["source"], known["etag"]) == (f"{SITE}/new", f"{SITE}/new", '"1"')
    assert (known["team"], known["kind"]) == ("docs", "html")
    assert known["fetched_at"].startswith("20")
    (hit,) = desk.post("/v1/rag/search", query="long rivers").json()["data"]
    assert hit["document_id"] == f"{SITE}/new"


def test_page_is_fetched_again_only_where_it_has_changed(desk: Desk, sites: Sites) -> None:
    sites.said[f"{SITE}/a"] = page("old words", etag='"1"')
    urls(desk, "/a")
    sites.said[f"{SITE}/a"] = Said(status=304)
    assert outcomes(urls(desk, "/a")) == [(f"{SITE}/a", "unchanged")]
    assert sites.requests[-1].headers["if-none-match"] == '"1"'
    sites.said[f"{SITE}/a"] = page("old words", etag='"2"')  # the very bytes
    assert outcomes(urls(desk, "/a", metadata={"new": 1})) == [(f"{SITE}/a", "unchanged")]
    known = desk.get(f"/v1/rag/documents/{SITE}/a").json()["metadata"]
    assert (known["etag"], known["new"]) == ('"2"', 1)
    sites.said[f"{SITE}/a"] = page("other words")
    assert outcomes(urls(desk, "/a")) == [(f"{SITE}/a", "replaced")]


def test_two_urls_that_lead_to_one_page_store_it_once(desk: Desk, sites: Sites) -> None:
    sites.said |= {f"{SITE}/1": moved("/a"), f"{SITE}/2": moved("/a"), f"{SITE}/a": page()}
    found = outcomes(urls(desk, "/1", "/2", "/a", "/a#x"))
    assert {id for id, _ in found} == {f"{SITE}/a"}
    assert sorted(what for _, what in found) == ["created", "unchanged", "unchanged"]


def test_what_cannot_be_stored_is_named_and_the_others_are_stored(desk: Desk, sites: Sites) -> None:
    sites.said |= {
        f"{SITE}/a": page(),
        f"{SITE}/image": Said(b"\x89PNG", headers={"content-type": "image/png"}),
        f"{SITE}/inside": moved("http://inside.local/"),
        f"{SITE}/bad.pdf": Said(b"%PDF-", headers={"content-type": "application/pdf"}),
        f"{SITE}/note.md": Said(b"# Note\n\nwords", headers={"content-type": "text/plain"}),
    }
    sites.addresses["inside.local"] = [["10.0.0.1"]]
    answer = urls(desk, "/a", "/missing", "/image", "/inside", "/bad.pdf", "/note.md")
    assert outcomes(answer) == [
        (f"{SITE}/a", "created"),
        (f"{SITE}/missing", "failed"),
        (f"{SITE}/image", "failed"),
        (f"{SITE}/inside", "failed"),
        (f"{SITE}/bad.pdf", "failed"),
        (f"{SITE}/note.md", "created"),
    ]
    errors = [one.get("error", "") for one in answer.json()["documents"]]
    assert "answered 404" in errors[1]
    assert "image/png" in errors[2]
    assert "not public" in errors[3]
    assert "10.0.0.1" not in answer.text
    assert desk.get(f"/v1/rag/documents/{SITE}/note.md").json()["metadata"]["kind"] == "markdown"


def test_sitemap_is_a_list_of_pages(desk: Desk, sites: Sites) -> None:
    named = "".join(f"<url><loc>{SITE}/{n}</loc></url>" for n in range(12))
    sites.said[f"{SITE}/sitemap.xml"] = Said(f"<urlset>{named}</urlset>".encode())
    sites.said |= {f"{SITE}/{n}": page(f"page {n}") for n in range(12)}
    answer = desk.post("/v1/rag/urls", sitemap=f"{SITE}/sitemap.xml", limit=3)
    assert answer.json()["ids"] == [f"{SITE}/{n}" for n in range(3)]
    answer = desk.post("/v1/rag/urls", sitemap=f"{SITE}/sitemap.xml")
    assert answer.status_code == 202
    place = answer.headers["location"]
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    assert (desk.http.get(place).json()["done"], desk.http.get(place).json()["total"]) == (12, 12)
    assert len(desk.get("/v1/rag/documents").json()["data"]) == 12


def test_job_names_what_failed_by_the_url_that_was_asked_for(desk: Desk, sites: Sites) -> None:
    sites.said |= {f"{SITE}/1": moved("/a"), f"{SITE}/2": moved("/a"), f"{SITE}/a": page()}
    place = urls(desk, "/1", "/2", "/missing", background=True).headers["location"]
    wait_until(lambda: desk.http.get(place).json()["state"] == "done", seconds=30)
    job = desk.http.get(place).json()
    assert (job["done"], list(job["failures"])) == (3, [f"{SITE}/missing"])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "urls"),
        ({"urls": [f"{SITE}/a"], "sitemap": f"{SITE}/b"}, "urls"),
        ({"urls": []}, "urls"),
        ({"urls": [f"{SITE}/a", "file:///etc/passwd"]}, "urls[1]"),
        ({"urls": ["http://user:secret@example.com/"]}, "urls[0]"),
        ({"urls": ["http://example.com:6379/"]}, "urls[0]"),
        ({"sitemap": "http://example.com:6379/"}, "sitemap"),
        ({"sitemap": f"{SITE}/a", "limit": 0}, "limit"),
        ({"urls": [f"{SITE}/a"], "metadata": {"a": {"b": 1}}}, "metadata.a"),
    ],
)
def test_request_that_means_nothing_is_refused_by_its_field(
    desk: Desk, sites: Sites, body: dict[str, object], param: str
) -> None:
    answer = desk.post("/v1/rag/urls", **body)
    said = error_of(answer)[2]
    assert answer.status_code == 400
    assert said is not None
    assert said.startswith(param)
    assert sites.requests == []


def test_name_that_means_this_machine_is_refused(desk: Desk, sites: Sites) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "0x7f000001", "2130706433"):
        sites.addresses[host] = [["127.0.0.1"]]
    sites.addresses["::1"] = [["::1"]]
    for host in ("127.0.0.1", "localhost", "[::1]", "0x7f000001", "2130706433"):
        answer = desk.post("/v1/rag/urls", urls=[f"http://{host}/"])
        assert (answer.status_code, "not public" in answer.text) == (400, True), host
    assert sites.requests == []
