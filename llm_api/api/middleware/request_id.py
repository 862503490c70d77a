"""An id and the time taken on every HTTP response, errors and streams included. Pure ASGI."""

from time import perf_counter
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.doors import door_of
from llm_api.core.utils.logs import current_request


def new_request_id() -> str:
    """A fresh id. What a client sends as its own is not taken over."""
    return f"req_{uuid4().hex}"


class RequestIdMiddleware:
    """Sets `x-request-id` and `openai-processing-ms`; tells the logs, and the request's state.

    Anthropic's clients read `request-id`.
    The milliseconds run to the first byte of the answer, as a header cannot say more.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if door_of(scope) == "anthropic":
                    headers["request-id"] = request_id
                headers["openai-processing-ms"] = str(round((perf_counter() - began) * 1000))
            await send(message)

        logged = current_request.set(request_id)
        try:
            await self.app(scope, receive, with_headers)
        finally:
            current_request.reset(logged)
