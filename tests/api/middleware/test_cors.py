"""Pages of other origins read nothing until their origin is named."""

import httpx2
import pytest

from llm_api.api.policy import Access
from tests.api.bodies import chat
from tests.api.keyed import BEARER, keyed_app, talking_to
from tests.fakes import FakeServices

CHAT = "/v1/chat/completions"
NAMED, OTHER = "https://chat.example", "https://evil.example"
ACCESS = Access(allowed_hosts=None, cors_origins=(NAMED,))


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }


async def test_a_named_origin_asks_without_a_key_and_is_let_in(services: FakeServices) -> None:
    async with talking_to(keyed_app(services, access=ACCESS)) as client:
        response = await client.options(CHAT, headers=preflight(NAMED))
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == NAMED
        assert "POST" in response.headers["access-control-allow-methods"]
        allowed = response.headers["access-control-allow-headers"]
        assert {"authorization", "x-stainless-os"} <= set(allowed.split(","))
        assert "access-control-allow-credentials" not in response.headers


async def test_a_named_origin_reads_answers_and_refusals(services: FakeServices) -> None:
    async with talking_to(keyed_app(services, access=ACCESS), origin=NAMED) as client:
        for headers, status in ((BEARER, 200), ({}, 401)):
            response = await client.post(CHAT, json=chat(), headers=headers)
            assert response.status_code == status
            assert response.headers["access-control-allow-origin"] == NAMED
            assert response.headers["access-control-expose-headers"] == "*"


@pytest.mark.parametrize(
    ("origin", "access"), [(OTHER, ACCESS), (NAMED, Access(allowed_hosts=None))]
)
async def test_no_other_origin_reads_anything(
    services: FakeServices, origin: str, access: Access
) -> None:
    async with talking_to(keyed_app(services, access=access)) as client:
        asked = await client.options(CHAT, headers=preflight(origin))
        assert asked.status_code in {400, 401}
        answer = await client.post(CHAT, json=chat(), headers=BEARER | {"origin": origin})
        for response in (asked, answer):
            assert "access-control-allow-origin" not in response.headers


async def test_without_keys_a_preflight_of_another_page_is_not_answered(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.options(CHAT, headers=preflight(OTHER))
    assert response.status_code == 405
    assert "access-control-allow-origin" not in response.headers
