"""The last seconds of the service: which requests are let in, and which may go on. Pure ASGI.

1. A request runs, as long as it takes.
2. `drain` has been called: a new request is answered 503, except those of health and metrics.
3. Its time is up: what has not begun to answer is answered 503, a stream ends in an error.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.doors import Door, door_of
from llm_api.api.errors import Failure, describe
from llm_api.api.request_facts import facts_of
from llm_api.api.stream_forms import StreamForm, form_of
from llm_api.core.errors import UnavailableError

_WATCHERS = ("/health", "/metrics")
_FAREWELL_SECONDS = 2.0
"""How long a request may take to end once its time is up: generations to abort, a frame to send."""


class TimeIsUpError(Exception):
    """The request has been cancelled, because the server ends."""


class Draining:
    """The requests that run, each with the moment at which it has to end. Of one event loop."""

    def __init__(self) -> None:
        self.has_begun = False
        self._deadlines: set[asyncio.Timeout] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def running(self) -> int:
        """Requests that have not ended."""
        return len(self._deadlines)

    @asynccontextmanager
    async def request(self) -> AsyncGenerator[None, None]:
        """A request is its block. Raises TimeIsUpError out of it when its time is up."""
        deadline = asyncio.timeout(None)
        self._deadlines.add(deadline)
        self._is_idle.clear()
        try:
            async with deadline:
                yield
        except TimeoutError as error:
            if deadline.expired():
                raise TimeIsUpError from error
            raise
        finally:
            self._deadlines.remove(deadline)
            if not self._deadlines:
                self._is_idle.set()

    async def drain(self, seconds: float) -> None:
        """Let no more requests in, give the others so long, and return when they have ended.

        Some may be left if a client takes none of what it is sent.
        """
        self.has_begun = True
        ends_at = asyncio.get_running_loop().time() + seconds
        for deadline in self._deadlines:
            deadline.reschedule(ends_at)
        waiting = asyncio.ensure_future(self._is_idle.wait())
        await asyncio.wait((waiting,), timeout=seconds + _FAREWELL_SECONDS)
        waiting.cancel()


def draining_of(app: FastAPI) -> Draining:
    """What a server ends this application by."""
    return cast(Draining, app.state.draining)


class DrainingMiddleware:
    """Keeps `draining` informed of the requests, and tells them when their time is up."""

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self.app = app
        self.draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith(_WATCHERS):
            await self.app(scope, receive, send)
            return
        if self.draining.has_begun:
            await _refusal(scope)(scope, receive, send)
            return
        answer = _Answer(send, door_of(scope))
        try:
            async with self.draining.request():
                await self.app(scope, receive, answer.send)
        except TimeIsUpError:
            if not answer.has_begun:
                await _refusal(scope)(scope, receive, send)
            elif answer.open_stream is not None:
                error = answer.open_stream.error(_failure(scope))
                await send({"type": "http.response.body", "body": error})


class _Answer:
    """What has been sent of an answer. `open_stream` is the form of a stream that goes on."""

    def __init__(self, send: Send, door: Door) -> None:
        self.has_begun = False
        self._door = door
        self.open_stream: StreamForm | None = None
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = Headers(raw=message["headers"])
            self.open_stream = form_of(headers.get("content-type", ""), self._door)
        elif not message.get("more_body", False):
            self.open_stream = None
        await self._send(message)


def _refusal(scope: Scope) -> Response:
    """Closes the connection: the next request may reach another server."""
    response = _failure(scope).to_response(scope)
    response.headers["connection"] = "close"
    return response


def _failure(scope: Scope) -> Failure:
    failure = describe(UnavailableError("The server is stopping; try again."))
    facts_of(scope).error = failure.code
    return failure
