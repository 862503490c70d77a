"""The backend against a scripted server: stream, cancel, call, fail and recover."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from llm_api.core.errors import (
    ContextLengthExceededError,
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UnsupportedParameterError,
    UpstreamError,
    UpstreamTimeoutError,
)
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.backends.openai import OpenAIBackend, OpenAIOptions, open_openai
from llm_api.core.llm.backends.openai_flavours import FLAVOURS, FlavourName
from llm_api.core.llm.backends.upstream_backend import UpstreamOptions
from llm_api.core.llm.progress import Journey, Progress
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    Message,
    RegexFormat,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
    Usage,
)
from tests.live import PATIENCE_SECONDS
from tests.upstreams import Asked, Reply, StandIn, answer, events, stand_in

CARD = ModelCard("ours", 1, "llm_api", None)
KEY = "sk-secret"
REQUEST = GenerationRequest(ChatPrompt((Message("user", "hello"),)), max_tokens=5)


def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
HELLO = (chunk(role="assistant", content=""), chunk(content="Hello"), chunk("stop"), USAGE)
HELLO_EVENTS = [Started(None), TextDelta("Hello"), Finished("stop", Usage(3, 2))]


def hello(_: Asked) -> Reply:
    return events(b": keep-alive\n\n", *HELLO, "[DONE]")


@pytest.fixture
async def upstream() -> AsyncGenerator[StandIn, None]:
    async with stand_in(hello) as upstream:
        yield upstream


@pytest.fixture
async def backend(upstream: StandIn) -> AsyncGenerator[OpenAIBackend, None]:
    backend = await opened(upstream.url)
    yield backend
    await backend.aclose()


async def opened(
    url: str, flavour: FlavourName = "openai", silence_seconds: float = 5.0
) -> OpenAIBackend:
    options = UpstreamOptions(url, "theirs", KEY, silence_seconds=silence_seconds)
    return await open_openai(CARD, OpenAIOptions(options, flavour))


async def tell(given: list[Event], backend: Backend, request: GenerationRequest = REQUEST) -> None:
    """Add what is answered to `given`, which keeps what came before an error."""
    async for event in backend.generate(request):
        given.append(event)  # noqa: PERF401 - a comprehension would keep nothing


async def told(backend: Backend, request: GenerationRequest = REQUEST) -> list[Event]:
    given: list[Event] = []
    await tell(given, backend, request)
    return given


async def test_an_answer_is_streamed(upstream: StandIn, backend: OpenAIBackend) -> None:
    assert await told(backend) == HELLO_EVENTS
    (asked,) = upstream.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["model"] == "theirs"


async def test_a_base_url_with_a_path_is_left_as_it_is(upstream: StandIn) -> None:
    backend = await opened(f"{upstream.url}/openai/v2/")
    await told(backend)
    assert upstream.asked[0].path == "/openai/v2/chat/completions"
    await backend.aclose()


async def test_text_is_handed_on_while_the_rest_is_awaited(
    upstream: StandIn, backend: OpenAIBackend
) -> None:
    upstream.reply = lambda _: events(chunk(content="Hel"), 60.0)
    async with aclosing(backend.generate(REQUEST)) as given:
        assert [await anext(given), await anext(given)] == [Started(None), TextDelta("Hel")]


TOLD = {"total": 900, "cache": 100, "processed": 300, "time_ms": 2000}
READS = {**chunk(), "prompt_progress": TOLD}
OURS = {"x-llm-api-backend": "llama"}


async def reads(backend: Backend) -> Progress | None:
    """How far a request is when its answer has begun; it is then heard out."""
    request = replace(REQUEST, journey=Journey())
    async with aclosing(backend.generate(request)) as given:
        assert isinstance(await anext(given), Started)
        progress = request.journey.progress()
        assert [event async for event in given] == HELLO_EVENTS[1:]
    last = request.journey.progress()
    assert last is None or (last.state, last.written_tokens) == ("writing", 1)
    return progress


async def test_llama_server_is_asked_how_far_it_is(upstream: StandIn) -> None:
    backend = await opened(upstream.url, "llama-server")
    upstream.reply = lambda _: events(READS, *HELLO, "[DONE]")
    progress = await reads(backend)
    assert progress is not None
    assert (progress.state, progress.read_tokens) == ("reading", 300)
    assert upstream.asked[0].body["return_progress"] is True
    upstream.reply = hello
    assert await reads(backend) is None
    await backend.aclose()


@pytest.mark.parametrize("flavour", ["openai", "vllm", "huggingface"])
async def test_others_are_not_asked_how_far_they_are(
    upstream: StandIn, flavour: FlavourName
) -> None:
    backend = await opened(upstream.url, flavour)
    for _ in range(2):
        assert await reads(backend) is None
    assert not any("return_progress" in asked.body for asked in upstream.asked)
    await backend.aclose()


async def test_one_like_this_is_asked_once_it_is_known(
    upstream: StandIn, backend: OpenAIBackend
) -> None:
    def ours(asked: Asked) -> Reply:
        opening, *rest = HELLO
        told = [READS] if "return_progress" in asked.body else []
        return replace(events(opening, *told, *rest, "[DONE]"), headers=OURS)

    upstream.reply = ours
    assert await reads(backend) is None
    assert await reads(backend) is not None


async def test_one_that_refuses_to_be_asked_answers_all_the_same(
    upstream: StandIn, backend: OpenAIBackend
) -> None:
    refused = {"error": {"message": "unknown", "param": "return_progress"}}

    def older(asked: Asked) -> Reply:
        if "return_progress" in asked.body:
            return answer(refused, 400)
        return replace(hello(asked), headers=OURS)

    upstream.reply = older
    for _ in range(3):
        assert await reads(backend) is None
    assert ["return_progress" in asked.body for asked in upstream.asked] == [
        False,
        True,
        False,
        False,
    ]


async def test_a_connection_is_used_again(upstream: StandIn, backend: OpenAIBackend) -> None:
    for _ in range(3):
        await told(backend)
    assert upstream.connections == 1


async def test_what_nobody_waits_for_is_ended_over_there(
    upstream: StandIn, backend: OpenAIBackend
) -> None:
    upstream.reply = lambda _: events(*itertools.chain(*[(0.02, chunk(content="more "))] * 500))
    async with aclosing(backend.generate(REQUEST)) as given:
        async for event in given:
            if isinstance(event, TextDelta):
                break
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not upstream.left:
            await asyncio.sleep(0.005)
    upstream.reply = hello
    assert await told(backend) == HELLO_EVENTS


async def test_a_tool_is_called(upstream: StandIn, backend: OpenAIBackend) -> None:
    function = {"name": "add", "arguments": '{"a": 1}'}
    upstream.reply = lambda _: events(
        chunk(tool_calls=[{"index": 0, "id": "c", "type": "function", "function": function}]),
        chunk("tool_calls"),
        USAGE,
        "[DONE]",
    )
    tools = (ToolSpec("add"),)
    request = GenerationRequest(
        ChatPrompt((Message("user", "1+1"),), tools=tools),
        max_tokens=5,
        tool_choice=ToolChoice("required", frozenset({"add"})),
    )
    assert await told(backend, request) == [
        Started(None),
        ToolCallStarted(0, "c", "add"),
        ToolCallDelta(0, '{"a": 1}'),
        Finished("tool_calls", Usage(3, 2)),
    ]
    assert upstream.asked[0].body["tool_choice"] == "required"


CAPS = [
    ({"chat_template_caps": {"supports_tools": True}}, True),
    ({"chat_template_caps": {"supports_tools": False}}, False),
    ({"chat_template": "older servers tell no more"}, True),
    (["odd"], True),
]


@pytest.mark.parametrize(("props", "takes_tools"), CAPS)
async def test_tools_that_a_template_would_leave_out_are_refused(
    upstream: StandIn, props: object, takes_tools: bool
) -> None:
    backend = await opened(upstream.url, "llama-server")
    upstream.reply = lambda asked: answer(props) if asked.path == "/props" else hello(asked)
    prompt = ChatPrompt((Message("user", "1+1"),), tools=(ToolSpec("add"),))
    request = GenerationRequest(prompt, 5, tool_choice=ToolChoice("auto", frozenset({"add"})))
    for _ in range(2):
        if takes_tools:
            assert await told(backend, request) == HELLO_EVENTS
        else:
            with pytest.raises(UnsupportedParameterError, match="'tools'"):
                await told(backend, request)
    assert [asked.path for asked in upstream.asked].count("/props") == 1
    await backend.aclose()


async def test_an_answer_may_end_without_the_closing_word(
    upstream: StandIn, backend: OpenAIBackend
) -> None:
    upstream.reply = lambda _: events(*HELLO)
    assert await told(backend) == HELLO_EVENTS


async def test_usage_that_is_not_told_is_complained_about(
    upstream: StandIn, backend: OpenAIBackend, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.reply = lambda _: events(*HELLO[:-1], "[DONE]")
    with caplog.at_level(logging.WARNING):
        assert (await told(backend))[-1] == Finished("stop", Usage(0, 0))
    assert "tells no usage" in caplog.text


def refused(status: int, code: str | None = None, **headers: str) -> Reply:
    return answer({"error": {"message": f"no, {KEY}", "code": code}}, status, **headers)


FAILURES: list[tuple[Reply, type[LLMAPIError], bool]] = [
    (refused(400), InvalidRequestError, False),
    (refused(400, "context_length_exceeded"), ContextLengthExceededError, False),
    (refused(401), UnavailableError, False),
    (refused(404), UnavailableError, False),
    (refused(429, retry_after="7"), OverloadedError, False),
    (refused(500), UpstreamError, False),
    (answer(chunk("stop")), UpstreamError, False),
    (events("{"), UpstreamError, False),
    (events("[DONE]"), UpstreamError, False),
    (events({"error": {"message": "full", "code": 503}}), UnavailableError, False),
    (events(chunk(content="Hel"), "{"), UpstreamError, True),
    (events(chunk(content="Hel"), {"error": {"message": KEY}}), UpstreamError, True),
    (events(chunk(content="Hel"), is_cut=True), UpstreamError, True),
    (events(chunk(content="Hel"), "[DONE]"), UpstreamError, True),
    (events(60.0), UpstreamTimeoutError, False),
    (events(chunk(content="Hel"), 60.0), UpstreamTimeoutError, True),
]


@pytest.mark.parametrize(("reply", "kind", "is_begun"), FAILURES)
async def test_a_failure_is_told_and_the_next_request_is_answered(
    upstream: StandIn, reply: Reply, kind: type[LLMAPIError], is_begun: bool
) -> None:
    backend = await opened(upstream.url, silence_seconds=0.2)
    upstream.reply = lambda _: reply
    given: list[Event] = []
    with pytest.raises(kind) as caught:
        await tell(given, backend)
    assert type(caught.value) is kind
    assert KEY not in caught.value.message
    assert given == ([Started(None), TextDelta("Hel")] if is_begun else [])
    assert len(upstream.asked) == 1
    upstream.reply = hello
    assert await told(backend) == HELLO_EVENTS
    await backend.aclose()


async def test_the_time_to_wait_and_the_key_to_check_are_handed_on(
    upstream: StandIn, backend: OpenAIBackend
) -> None:
    upstream.reply = lambda _: refused(429, retry_after="7")
    with pytest.raises(OverloadedError) as busy:
        await told(backend)
    assert busy.value.retry_after_seconds == 7.0
    upstream.reply = lambda _: refused(403)
    with pytest.raises(UnavailableError, match="check OPENAI_API_KEY"):
        await told(backend)


async def test_a_server_that_is_not_there_may_be_opened_and_is_unavailable() -> None:
    async with stand_in(hello) as upstream:
        pass
    backend = await opened(upstream.url)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await told(backend)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await backend.check()
    await backend.aclose()


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_card_says_what_the_flavour_can_do_and_nothing_else_is_sent(
    upstream: StandIn, flavour: FlavourName
) -> None:
    backend = await opened(upstream.url, flavour)
    assert backend.card.backend == flavour
    assert backend.card.capabilities == FLAVOURS[flavour].capabilities
    if flavour != "vllm":
        request = GenerationRequest(REQUEST.prompt, 5, output_format=RegexFormat("a"))
        with pytest.raises(UnsupportedParameterError, match="guided_regex"):
            await told(backend, request)
        assert upstream.asked == []
    await backend.aclose()


@pytest.mark.parametrize(
    ("flavour", "path"), [("openai", "/v1/models"), ("llama-server", "/v1/health")]
)
async def test_health_is_asked_for_where_it_costs_least(
    upstream: StandIn, flavour: FlavourName, path: str
) -> None:
    backend = await opened(upstream.url, flavour)
    upstream.reply = lambda _: answer({"status": "ok"})
    await backend.check()
    upstream.reply = lambda _: answer({"error": {"message": "Loading model", "code": 503}}, 503)
    with pytest.raises(UnavailableError, match="Loading model"):
        await backend.check()
    assert [asked.path for asked in upstream.asked] == [path, path]
    await backend.aclose()
