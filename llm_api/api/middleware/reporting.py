"""Gathers the facts of every request, and reports them once its answer has ended. Pure ASGI.

Stands inside the middleware that makes the request id, and outside of all that may answer, so that
no answer is missed.
"""

import logging
from datetime import UTC, datetime
from time import perf_counter
from typing import Final
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_api.api.deps import SharedServices, services_of
from llm_api.api.ignored import IGNORED_HEADER, UNKNOWN_MODEL_HEADER, shown_name
from llm_api.api.live_requests import LiveRequests
from llm_api.api.metrics.requests import RequestMetrics
from llm_api.api.request_facts import RequestFacts
from llm_api.api.request_log import to_record
from llm_api.core.utils.logs import REQUESTS

log = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""nginx's number for a client that closed the connection before its answer was complete."""


LONGEST_SHOWN: Final = 100
"""Characters of an address that a line shows: it is the client's own words."""


class ReportingMiddleware:
    """Puts `facts` into the request's state, where the gate puts `key_name`."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, live: LiveRequests) -> None:
        self.app = app
        self._metrics = metrics
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        services = services_of(scope["app"])
        facts = RequestFacts(
            id=scope["state"]["request_id"],
            method=scope["method"],
            received=datetime.now(UTC),
            began=perf_counter(),
            keeps_content=services.logs_content,
        )
        path = str(scope["path"])
        facts.report = lambda: self._report(facts, services, path)
        scope["state"]["facts"] = facts
        self._live.begin(facts, scope)
        watch = _Watch(receive, send, facts)
        self._metrics.running += 1
        try:
            await self.app(scope, watch.receive, watch.send)
        finally:
            facts.status = watch.outcome
            facts.endpoint = route_template(scope)
            facts.key_name = scope["state"].get("key_name")
            self._metrics.running -= 1
            if not facts.is_handed_over:
                facts.report()

    def _report(self, facts: RequestFacts, services: SharedServices, path: str) -> None:
        facts.total_seconds = facts.seconds()
        self._live.end(facts)
        if facts.ignored:
            log.debug("%s ignored parameters: %s", facts.id, facts.ignored)
        if facts.unknown_model is not None:
            asked = shown_name(facts.unknown_model)
            log.info("%s unknown model %s: %s serves it", facts.id, asked, facts.model)
        if REQUESTS.isEnabledFor(logging.INFO):
            REQUESTS.info("%s", request_line(facts, path))
        services.request_log.append(to_record(facts))
        self._metrics.record(facts)


def request_line(facts: RequestFacts, path: str) -> str:
    """A request for people: with the path that the client asked for, without what follows `?`.

    It is shown escaped, so that it can neither begin a line of its own nor move a cursor. Pure.
    """
    shown = quote(path, safe="/:@!$&'()*+,;=")
    if len(shown) > LONGEST_SHOWN:
        shown = f"{shown[:LONGEST_SHOWN]}…"
    said = [f"{facts.method} {shown} {facts.status} in {facts.total_seconds or 0:.2f} s"]
    said += [facts.model] if facts.model is not None else []
    if facts.usage is not None and facts.usage.prompt_tokens is not None:
        said.append(f"{facts.usage.prompt_tokens} + {facts.usage.completion_tokens} tokens")
    said += [facts.error] if facts.error is not None else []
    return ", ".join(said)


def _told(facts: RequestFacts) -> list[tuple[bytes, bytes]]:
    """The headers that say what of the request was not done as it says. Pure."""
    told = []
    if facts.ignored:
        told.append((IGNORED_HEADER.encode(), str(facts.ignored).encode()))
    if facts.unknown_model is not None:
        told.append((UNKNOWN_MODEL_HEADER.encode(), shown_name(facts.unknown_model).encode()))
    return told


class _Watch:
    """Sees what goes to and fro. Every answer tells what was not done as it was asked."""

    def __init__(self, receive: Receive, send: Send, facts: RequestFacts) -> None:
        self._receive = receive
        self._send = send
        self._facts = facts
        self._status = 500  # what the server answers where nothing else does
        self._is_complete = False
        self._has_left = False

    @property
    def outcome(self) -> int:
        """The status that was answered, or the one for a client that did not wait for it."""
        return CLIENT_LEFT if self._has_left else self._status

    async def receive(self) -> Message:
        message = await self._receive()
        # Once the answer is complete, this is all that there is to receive.
        if message["type"] == "http.disconnect" and not self._is_complete:
            self._has_left = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if told := _told(self._facts):
                message = {**message, "headers": [*message.get("headers", ()), *told]}
        elif message["type"] == "http.response.body":
            self._is_complete = not message.get("more_body", False)
        await self._send(message)


def route_template(scope: Scope) -> str | None:
    """The path of the route that answered, its parameters unfilled; None where none did. Pure."""
    # FastAPI's own routes: of one in a router within a router, the first knows the whole path.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    if route is not None:
        return str(route.path_format)
    if "app_root_path" in scope:  # a mounted application, which has files below this path
        return str(scope["root_path"]).removeprefix(scope["app_root_path"])
    return str(scope["path"]) if "endpoint" in scope else None  # a plain route, without parameters
