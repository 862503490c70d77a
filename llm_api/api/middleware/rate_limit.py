"""A key gets as much as it may use, and is told how much that still is. Pure ASGI.

Requests are counted here; tokens where they are made (`core/access/metered.py`).
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.doors import Door, door_of
from llm_api.api.errors import describe, refuse
from llm_api.core.access.caller import Caller
from llm_api.core.access.limiter import Unit
from llm_api.core.errors import LLMAPIError


class RateLimitMiddleware:
    """Answers 429 beyond a limit; sets OpenAI's `x-ratelimit-*` on every answer to a limited key.

    Where Anthropic's clients ask, theirs are set as well. For a limit on tokens they tell what is
    left when the answer begins.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        caller: Caller = scope["state"]["caller"]
        door = door_of(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                for name, value in _headers(caller, door):
                    MutableHeaders(scope=message)[name] = value
            await send(message)

        try:
            await caller.enter()
        except LLMAPIError as error:
            await refuse(describe(error), scope, receive, with_headers)
            return
        try:
            await self.app(scope, receive, with_headers)
        finally:
            await caller.leave()


def _headers(caller: Caller, door: Door) -> Iterator[tuple[str, str]]:
    for unit in get_args(Unit):
        standing = caller.standing(unit)
        if standing is None:
            continue
        yield f"x-ratelimit-limit-{unit}", str(standing.limit)
        yield f"x-ratelimit-remaining-{unit}", str(standing.remaining)
        yield f"x-ratelimit-reset-{unit}", f"{math.ceil(standing.reset_seconds)}s"
        if door == "anthropic":
            yield f"anthropic-ratelimit-{unit}-limit", str(standing.limit)
            yield f"anthropic-ratelimit-{unit}-remaining", str(standing.remaining)
            yield f"anthropic-ratelimit-{unit}-reset", _moment_in(standing.reset_seconds)


def _moment_in(seconds: float) -> str:
    """A moment from now in the form of RFC 3339, not before it."""
    return f"{datetime.now(UTC) + timedelta(seconds=math.ceil(seconds)):%Y-%m-%dT%H:%M:%SZ}"
