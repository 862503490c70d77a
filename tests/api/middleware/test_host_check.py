"""Which names and which pages reach a server that asks for no key."""

from dataclasses import replace

import httpx2
import pytest

from llm_api.api.deps import set_services
from llm_api.api.policy import LOOPBACK_HOSTS, Access
from llm_api.api.wiring import create_api
from tests.api.bodies import chat
from tests.api.keyed import talking_to
from tests.api.test_bad_input import assert_envelope
from tests.fakes import FakeBackend, FakeServices

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:65535"],
)
async def test_this_machine_goes_by_its_own_names(client: httpx2.AsyncClient, host: str) -> None:
    assert (await client.get("/v1/models", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost:8000@evil.example",
        "evil.example#localhost",
        "x/health?",
        "localhost/",
        "localhost:",
        "127.0.0.2",
        "[::2]",
        "::1",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/nowhere"])
async def test_no_other_name_is_answered(client: httpx2.AsyncClient, host: str, path: str) -> None:
    response = await client.get(path, headers={"host": host})
    assert response.status_code == 421
    assert assert_envelope(response)["code"] == "host_not_allowed"


async def test_two_names_are_none(client: httpx2.AsyncClient) -> None:
    twice = [("host", "localhost"), ("host", "localhost")]
    assert (await client.get("/health", headers=twice)).status_code == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5173", 200),
        ("https://localhost", 200),
        ("http://127.0.0.1:8000", 200),
        ("http://[::1]:8000", 200),
        ("https://chat.example", 200),
        ("https://chat.example:444", 403),
        ("http://chat.example", 403),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://localhost@evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_pages_of_this_machine_and_of_named_origins_may_post(
    services: FakeServices, backend: FakeBackend, origin: str, status: int
) -> None:
    app = create_api(version="0", access=Access(cors_origins=("https://chat.example",)))
    set_services(app, services)
    async with talking_to(app, origin=origin) as client:
        response = await client.post(CHAT, json=chat())
        assert response.status_code == status
        assert (await client.get("/v1/models")).status_code == 200
    if status == 403:
        assert assert_envelope(response)["code"] == "origin_not_allowed"
        assert backend.requests == []


async def test_further_names_may_be_allowed_or_any(services: FakeServices) -> None:
    named = Access(allowed_hosts=LOOPBACK_HOSTS | {"llm.example"})
    for access, host, status in (
        (named, "llm.example:8000", 200),
        (named, "other.example", 421),
        (replace(named, allowed_hosts=None), "other.example", 200),
    ):
        app = create_api(version="0", access=access)
        set_services(app, services)
        async with talking_to(app, host=host) as client:
            assert (await client.get("/v1/models")).status_code == status
