"""The API where keys are asked for."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.policy import Access
from llm_api.api.wiring import create_api
from llm_api.core.access.counters import MemoryCounters
from llm_api.core.access.keys import SCOPES, ApiKey, Keyring, Limits, Scope, digest_of
from llm_api.core.access.limiter import Limiter
from tests.fakes import FakeServices

SECRET = "sk-llm-planted-key"
BEARER = {"authorization": f"Bearer {SECRET}"}
SECONDS_LEFT = 25
"""Of the minute in which limits are counted, by a clock that stands still."""


def limiter_at_rest(*, fails_open: bool = False) -> Limiter:
    return Limiter(MemoryCounters(), lambda: 1_700_000_015.0, fails_open=fails_open)


def api_key(
    *,
    scopes: Iterable[Scope] = SCOPES,
    models: Iterable[str] | None = None,
    limits: Limits | None = None,
    secret: str = SECRET,
    name: str = "alice",
) -> ApiKey:
    allowed = None if models is None else frozenset(models)
    return ApiKey(name, digest_of(secret), frozenset(scopes), allowed, limits or Limits())


def keyed_app(services: FakeServices, *keys: ApiKey, access: Access | None = None) -> FastAPI:
    """The API over these services, for these keys, or for one that may do everything."""
    access = replace(
        access or Access(limiter=limiter_at_rest(), allowed_hosts=None),
        keyring=Keyring(keys or (api_key(),)),
    )
    app = create_api(version="0.0.test", access=access)
    set_services(app, services)
    return app


@asynccontextmanager
async def talking_to(app: FastAPI, **headers: str) -> AsyncGenerator[httpx2.AsyncClient, None]:
    """A client that sends these headers, `_` in their names for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://localhost", headers=named
    ) as client:
        yield client
