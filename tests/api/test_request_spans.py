"""Every request is a span that says what its answer and the request log say."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from llm_api.api.deps import set_services
from llm_api.api.request_spans import RequestTracer
from llm_api.api.wiring import create_api
from llm_api.core.errors import GenerationError
from llm_api.core.llm.types import GenerationRequest, Started, TextDelta
from llm_api.core.upstream import outgoing_trace
from tests.api.bodies import chat, completion, embedding
from tests.core.embeddings.fake_encoder import EMBEDDING_ID
from tests.fakes import ALIAS, MODEL_ID, FakeBackend, FakeServices, Step, spoken

CHAT = "/v1/chat/completions"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def client(
    services: FakeServices, exporter: InMemorySpanExporter
) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with RequestTracer(lambda: SimpleSpanProcessor(exporter), "0.0.test") as tracer:
        app = create_api(version="0.0.test", tracer=tracer)
        set_services(app, services)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    [span] = exporter.get_finished_spans()
    return span


def attributes(exporter: InMemorySpanExporter) -> Mapping[str, Any]:
    return dict(only(exporter).attributes or {})


@pytest.mark.parametrize("stream", [False, True])
async def test_a_generation_is_told_in_the_words_of_the_conventions(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    exporter: InMemorySpanExporter,
    stream: bool,
) -> None:
    backend.script = lambda _: spoken("Hel", "lo", pause_seconds=0.02)
    response = await client.post(CHAT, json=chat(model=ALIAS, stream=stream))
    span, told = only(exporter), dict(attributes(exporter))
    told.pop("gen_ai.response.time_to_first_chunk", None)
    assert told == {
        "http.request.method": "POST",
        "http.route": CHAT,
        "http.response.status_code": 200,
        "url.path": CHAT,
        "url.scheme": "http",
        "llm_api.request_id": response.headers["x-request-id"],
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "llama",
        "gen_ai.request.model": MODEL_ID,
        "gen_ai.response.model": MODEL_ID,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 2,
    }
    assert (span.name, span.kind) == (f"chat {MODEL_ID}", SpanKind.SERVER)
    assert span.status.status_code is StatusCode.UNSET


async def test_the_first_token_of_a_stream_is_an_event(
    client: httpx2.AsyncClient, backend: FakeBackend, exporter: InMemorySpanExporter
) -> None:
    backend.script = lambda _: spoken("Hel", "lo", pause_seconds=0.02)
    await client.post(CHAT, json=chat(stream=True))
    span = only(exporter)
    first_seconds = attributes(exporter)["gen_ai.response.time_to_first_chunk"]
    [event] = span.events
    assert event.name == "gen_ai.first_token"
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time + 20_000_000 <= event.timestamp <= span.end_time - 20_000_000
    assert event.timestamp - span.start_time == pytest.approx(first_seconds * 1e9, abs=1000)


async def test_completions_and_embeddings_have_names_of_their_own(
    client: httpx2.AsyncClient, exporter: InMemorySpanExporter
) -> None:
    await client.post("/v1/completions", json=completion())
    await client.post("/v1/embeddings", json=embedding())
    await client.get("/v1/models/none")
    assert [span.name for span in exporter.get_finished_spans()] == [
        f"text_completion {MODEL_ID}",
        f"embeddings {EMBEDDING_ID}",
        "GET /v1/models/{model}",
    ]


async def test_a_client_s_trace_goes_on_here_and_in_what_is_asked_of_others(
    client: httpx2.AsyncClient, backend: FakeBackend, exporter: InMemorySpanExporter
) -> None:
    carried: list[Mapping[str, str]] = []

    def asking(_: GenerationRequest) -> list[Step]:
        carried.append(outgoing_trace.get())
        return spoken("x")

    backend.script = asking
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    await client.post("/v1/completions", json=completion(n=2), headers=headers)
    span = only(exporter)
    assert span.parent is not None
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    parent = f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert carried == [{"traceparent": parent, "tracestate": "vendor=1"}] * 2
    assert outgoing_trace.get() == {}


async def test_requests_without_a_trace_begin_one_each(
    client: httpx2.AsyncClient, exporter: InMemorySpanExporter
) -> None:
    for traceparent in ({}, {"traceparent": "no such thing"}):
        await client.get("/health", headers=traceparent)
    spans = exporter.get_finished_spans()
    assert [span.parent for span in spans] == [None, None]
    assert len({span.context.trace_id for span in spans if span.context}) == 2


@pytest.mark.parametrize(
    ("steps", "status", "code"),
    [
        ([GenerationError("no")], 500, "generation_failed"),
        ([Started(5), TextDelta("a"), GenerationError("no")], 200, "generation_failed"),
        ([ValueError("a bug")], 500, "internal_error"),
    ],
)
async def test_a_failure_is_one_even_in_mid_stream(
    client: httpx2.AsyncClient,
    backend: FakeBackend,
    exporter: InMemorySpanExporter,
    steps: list[Step],
    status: int,
    code: str,
) -> None:
    backend.script = lambda _: steps
    await client.post(CHAT, json=chat(stream=True))
    told = attributes(exporter)
    assert (told["http.response.status_code"], told["error.type"]) == (status, code)
    assert only(exporter).status.status_code is StatusCode.ERROR


async def test_a_mistake_of_the_client_is_no_failure_of_the_server(
    client: httpx2.AsyncClient, exporter: InMemorySpanExporter
) -> None:
    await client.post(CHAT, json=chat(model="none"))
    assert attributes(exporter)["error.type"] == "model_not_found"
    assert only(exporter).status.status_code is StatusCode.UNSET


async def test_what_was_said_is_in_no_span(
    client: httpx2.AsyncClient, backend: FakeBackend, exporter: InMemorySpanExporter
) -> None:
    backend.script = lambda _: spoken("planted answer")
    said = [{"role": "user", "content": "planted prompt"}]
    await client.post(CHAT, json=chat(messages=said), headers={"x-api-key": "planted key"})
    assert "planted" not in only(exporter).to_json()
