"""The door to OpenTelemetry: spans of requests, sent to a collector by OTLP over HTTP.

Attributes follow the semantic conventions for HTTP servers and for generative AI; prompts and
answers are none of them. Imported where traces are asked for, and nowhere else.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Self

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from llm_api.api.request_facts import RequestFacts

CLOSING_SECONDS = 3.0
"""How long the end waits for a collector that does not answer."""

FIRST_DELTA = "gen_ai.first_token"
_PROPAGATED = (b"traceparent", b"tracestate")
_propagator = TraceContextTextMapPropagator()


class RequestTracer:
    """A tracer of requests. Spans go to the processor while the context is entered."""

    def __init__(self, open_processor: Callable[[], SpanProcessor], version: str) -> None:
        self._open_processor = open_processor
        self._provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
        self._tracer = self._provider.get_tracer("llm_api", version)

    async def __aenter__(self) -> Self:
        self._provider.add_span_processor(self._open_processor())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what is left, if the collector takes it soon."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, CLOSING_SECONDS)

    def begin(self, scope: Scope) -> "RequestSpan":
        """As `Tracer.begin`."""
        carried = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _PROPAGATED
        }
        attributes = {
            "http.request.method": scope["method"],
            "url.scheme": scope["scheme"],
            "url.path": scope["path"],
            "llm_api.request_id": scope["state"]["request_id"],
        }
        began = time.time_ns()
        span = self._tracer.start_span(
            scope["method"],
            _propagator.extract(carried, Context()),
            SpanKind.SERVER,
            attributes,
            start_time=began,
        )
        return RequestSpan(span, began)


class RequestSpan:
    """The span of one request, which `began` at so many nanoseconds of Unix time."""

    def __init__(self, span: Span, began: int) -> None:
        self._span = span
        self._began = began
        self._headers: dict[str, str] = {}
        _propagator.inject(self._headers, set_span_in_context(span, Context()))

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    def end(self, facts: RequestFacts) -> None:
        span = self._span
        span.update_name(_name(facts))
        span.set_attributes({key: value for key, value in _attributes(facts) if value is not None})
        if facts.is_streamed and facts.first_token_seconds is not None:
            at = self._began + round(facts.first_token_seconds * 1e9)
            span.add_event(FIRST_DELTA, timestamp=at)
        status = facts.status or 0
        if status >= 500 or (facts.error is not None and status < 400):  # or in mid-stream
            span.set_status(StatusCode.ERROR)
        span.end()


def otlp_processor(url: str) -> SpanProcessor:
    """Posts spans to this URL, on its own thread."""
    return BatchSpanProcessor(OTLPSpanExporter(url))


def _resource(version: str) -> Resource:
    """Who we are: `llm_api`, unless the standard variables say it."""
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: "llm_api"}))
    return resource


def _name(facts: RequestFacts) -> str:
    if facts.operation is not None:
        return f"{facts.operation} {facts.model}"
    return facts.method if facts.endpoint is None else f"{facts.method} {facts.endpoint}"


def _attributes(facts: RequestFacts) -> Iterator[tuple[str, AttributeValue | None]]:
    yield "http.route", facts.endpoint
    yield "http.response.status_code", facts.status
    yield "error.type", facts.error
    if facts.operation is None:
        return
    yield "gen_ai.operation.name", facts.operation
    yield "gen_ai.provider.name", facts.backend
    yield "gen_ai.request.model", facts.model
    yield "gen_ai.response.model", facts.fallback or facts.model
    yield "gen_ai.response.finish_reasons", facts.finish_reasons or None
    if facts.is_streamed:
        yield "gen_ai.response.time_to_first_chunk", facts.first_token_seconds
    if facts.usage is not None:
        yield "gen_ai.usage.input_tokens", facts.usage.prompt_tokens
        yield "gen_ai.usage.output_tokens", facts.usage.completion_tokens
        yield "gen_ai.usage.cache_read.input_tokens", facts.usage.cached_tokens
