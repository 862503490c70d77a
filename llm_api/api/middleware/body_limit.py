"""A body that is too large is answered 413 as soon as that is known. Pure ASGI.

By its Content-Length that is before any of it is read; without one, when the bound is passed. Not
more than the bound is ever handed on, whatever reads it.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.access import Access
from llm_api.api.errors import Failure, RequestRefusedError, refuse
from llm_api.api.policy import rule_of


class BodyLimitMiddleware:
    """Bounds what a route can read; paths that take files have a bound of their own."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        refusal = _refusal(limit)
        if int(Headers(scope=scope).get("content-length", "0")) > limit:
            await refuse(refusal.failure, scope, receive, send)
            return
        body = _BoundedBody(receive, send, limit, refusal)
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            if not body.is_exceeded:
                raise
        if body.is_exceeded and not body.has_answer:
            await refuse(refusal.failure, scope, receive, send)

    def _limit(self, path: str) -> int:
        rule = rule_of(path)
        takes_files = rule is not None and rule.takes_files
        return self._access.max_upload_bytes if takes_files else self._access.max_body_bytes


class _BoundedBody:
    """One request's body, and whether its answer has begun before it was known to be too large.

    Once it is, an answer that begins is dropped: it would be about a failure to read.
    """

    def __init__(
        self, receive: Receive, send: Send, limit: int, refusal: RequestRefusedError
    ) -> None:
        self._receive = receive
        self._send = send
        self._left = limit
        self._refusal = refusal
        self.has_answer = False

    @property
    def is_exceeded(self) -> bool:
        return self._left < 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self.is_exceeded:
            raise self._refusal
        return message

    async def send(self, message: Message) -> None:
        if self.is_exceeded and not self.has_answer:
            return
        self.has_answer = True
        await self._send(message)


def _refusal(limit: int) -> RequestRefusedError:
    message = f"The request body must not be larger than {limit} bytes."
    return RequestRefusedError(Failure(413, "invalid_request_error", message, "request_too_large"))
