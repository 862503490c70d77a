"""A body that is too large, or comes too slowly, is refused as soon as that is known. Pure ASGI.

By its Content-Length that is before any of it is read (413); without one, when the bound is passed.
Not more than the bound is ever handed on, whatever reads it: of a body that is compressed, neither
as it comes nor as it is decoded. A client that keeps a route waiting
for its body is answered 408: time in which nobody reads does not count.
"""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.errors import Failure, RequestRefusedError, refuse
from llm_api.api.middleware.content_encoding import (
    BROKEN,
    Inflater,
    decoded,
    inflater_of,
    unsupported,
)
from llm_api.api.policy import Access, rule_of

BODY_SECONDS: Final = 20.0
BYTES_PER_SECOND: Final = 500
"""A body may be waited for BODY_SECONDS, and a second more for so many bytes that came.

These are the defaults of Apache's mod_reqtimeout, which slow networks have lived with for long.
"""

_TOO_SLOW = Failure(
    408,
    "invalid_request_error",
    "The request body did not come in time.",
    "request_timeout",
    headers={"connection": "close"},
)


class BodyLimitMiddleware:
    """Bounds what a route can read; paths that take files have their own bound."""

    def __init__(self, app: ASGIApp, access: Access, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self._access = access
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        headers = Headers(scope=scope)
        if int(headers.get("content-length", "0")) > limit:
            await refuse(_too_large(limit), scope, receive, send)
            return
        body = _BoundedBody(receive, send, limit, self._seconds)
        read: Receive = body.receive
        encoding = headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            inflater = inflater_of(encoding)
            if inflater is None:
                await refuse(unsupported(encoding), scope, receive, send)
                return
            read = body.decoded(inflater)
            _drop_encoding(scope)
        try:
            await self.app(scope, read, body.send)
        except Exception:
            if body.failure is None:
                raise
        if body.failure is not None and not body.has_answer:
            await refuse(body.failure, scope, receive, send)

    def _limit(self, path: str) -> int:
        rule = rule_of(path)
        takes_files = rule is not None and rule.takes_files
        return self._access.max_upload_bytes if takes_files else self._access.max_body_bytes


class _BoundedBody:
    """One request's body, and whether its answer has begun before the body was refused.

    Once it is, an answer that begins is dropped: it would be about a failure to read.
    """

    def __init__(self, receive: Receive, send: Send, limit: int, seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._left = limit
        self._seconds_left = seconds
        self._is_whole = False
        self.failure: Failure | None = None
        self.has_answer = False

    async def receive(self) -> Message:
        message = await (self._receive() if self._is_whole else self._next())
        body = message.get("body", b"")
        self._is_whole = not message.get("more_body", False)
        self._seconds_left += len(body) / BYTES_PER_SECOND
        self._left -= len(body)
        if self._left < 0:
            raise self._refusal(_too_large(self._limit))
        return message

    def decoded(self, inflater: Inflater) -> Receive:
        """What reads the body without its encoding, within the same bound."""
        left = self._limit

        def count(size: int) -> None:
            nonlocal left
            left -= size
            if left < 0:
                raise self._refusal(_too_large(self._limit))

        return decoded(self.receive, inflater, count, lambda: self._refusal(BROKEN))

    async def send(self, message: Message) -> None:
        if self.failure is not None and not self.has_answer:
            return
        self.has_answer = True
        await self._send(message)

    async def _next(self) -> Message:
        """More of the body. Mutates the time that is left for the rest."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._seconds_left):
                return await self._receive()
        except TimeoutError as error:
            raise self._refusal(_TOO_SLOW) from error
        finally:
            self._seconds_left -= loop.time() - began

    def _refusal(self, failure: Failure) -> RequestRefusedError:
        self.failure = failure
        return RequestRefusedError(failure)


def _drop_encoding(scope: Scope) -> None:
    """Let the body look as if it had been sent as it is read. Mutates `scope`."""
    told = (b"content-encoding", b"content-length")
    scope["headers"] = [header for header in scope["headers"] if header[0] not in told]


def _too_large(limit: int) -> Failure:
    message = f"The request body must not be larger than {limit} bytes."
    return Failure(413, "invalid_request_error", message, "request_too_large")
