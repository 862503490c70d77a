"""How the page is served: safely, kept for good or asked for anew, below a proxy, not at all."""

import re

import httpx2
import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.routes.page import BUILT
from llm_api.api.wiring import create_api
from llm_api.config.settings import load_settings
from llm_api.core.access.keys import ApiKey, Keyring, digest_of
from llm_api.main import create_app
from tests.fakes import FakeServices

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def asset_of(index: str) -> str:
    found = re.search(r'src="\./(assets/[^"]+\.js)"', index)
    assert found is not None
    return f"/{found[1]}"


async def test_browser_sees_the_page_and_programs_a_word(client: httpx2.AsyncClient) -> None:
    page = await client.get("/", headers=HTML)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<div id="page">' in page.text
    assert (await client.get("/")).text == "llm_api is running"
    assert (await client.head("/", headers=HTML)).headers["content-length"] == str(
        len(page.content)
    )


async def test_page_may_run_its_own_scripts_alone_and_in_no_frame(
    client: httpx2.AsyncClient,
) -> None:
    page = await client.get("/", headers=HTML)
    policy = dict(one.split(" ", 1) for one in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["frame-ancestors"] == "'none'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_page_is_asked_for_anew_and_its_files_are_kept(client: httpx2.AsyncClient) -> None:
    page = await client.get("/", headers=HTML)
    assert page.headers["cache-control"] == "no-cache"
    again = await client.get("/", headers={**HTML, "if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    asset = await client.get(asset_of(page.text))
    assert asset.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-encoding"] == "gzip"
    plain = await client.get(asset_of(page.text), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == asset.text


@pytest.mark.parametrize("name", ["none.js", "..%2findex.html", "..%2f..%2fwiring.py", ""])
async def test_nothing_but_the_page_s_files_is_served(
    client: httpx2.AsyncClient, name: str
) -> None:
    assert (await client.get(f"/assets/{name}")).status_code == 404


async def test_page_finds_its_files_below_the_path_of_a_proxy(services: FakeServices) -> None:
    app = create_api(version="0", access=Access(root_path="/llm"))
    set_services(app, services)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://localhost"
    ) as client:
        assert '<base href="/llm/" />' in (await client.get("/llm", headers=HTML)).text


async def test_login_takes_no_key_and_what_is_behind_it_does(services: FakeServices) -> None:
    keyring = Keyring([ApiKey(name="one", digest=digest_of("secret"))])
    app = create_api(version="0", access=Access(keyring=keyring))
    set_services(app, services)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://localhost"
    ) as client:
        page = await client.get("/", headers=HTML)
        assert page.status_code == 200
        assert (await client.get(asset_of(page.text))).status_code == 200
        assert (await client.get("/v1/models")).status_code == 401


async def test_page_that_is_switched_off_is_not_there(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    app.state.page = None
    assert (await client.get("/", headers=HTML)).text == "llm_api is running"
    asset = next((BUILT / "assets").glob("*.js"))
    assert (await client.get(f"/assets/{asset.name}")).status_code == 404


def test_setting_switches_the_page_off() -> None:
    assert create_app(load_settings(llm_backend="stub", page=False)).state.page is None
    assert create_app(load_settings(llm_backend="stub")).state.page is not None


async def test_page_of_another_name_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/", headers={**HTML, "host": "evil.example"})
    assert answer.status_code == 421
