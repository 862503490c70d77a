"""A bug in a route is logged with its request id, and answered as an error. Pure ASGI.

Starlette's own last resort sits outside of all middleware: its answers would carry no request id.
"""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.errors import INTERNAL_FAILURE
from llm_api.api.request_facts import facts_of

logger = logging.getLogger(__name__)


class LastResortMiddleware:
    """Answers 500 if nothing was sent yet; otherwise lets the server cut the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started = False

        async def watching(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, watching)
        except Exception:
            logger.exception("unhandled error in %s %s", scope["method"], scope["path"])
            facts_of(scope).error = INTERNAL_FAILURE.code
            if has_started:
                raise
            await INTERNAL_FAILURE.to_response(scope)(scope, receive, send)
