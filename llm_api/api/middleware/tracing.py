"""A span for every request, told from its facts. Pure ASGI. Knows no library that traces.

Stands outside of what gathers the facts, so that they are complete when the span ends.
"""

from collections.abc import Mapping
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from llm_api.api.request_facts import RequestFacts, facts_of
from llm_api.core.upstream import outgoing_trace


class TracedRequest(Protocol):
    """One request in a trace."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What makes another server's span a child of this one."""
        ...

    def end(self, facts: RequestFacts) -> None:
        """The answer has ended."""
        ...


class Tracer(Protocol):
    """Where spans begin."""

    def begin(self, scope: Scope) -> TracedRequest:
        """A span for the request with this scope, in its client's trace if that has one."""
        ...


class TracingMiddleware:
    """Begins and ends spans, and has requests to other servers carry them on."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self.app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        span = self._tracer.begin(scope)
        outgoing = outgoing_trace.set(span.headers)
        try:
            await self.app(scope, receive, send)
        finally:
            outgoing_trace.reset(outgoing)
            span.end(facts_of(scope))
