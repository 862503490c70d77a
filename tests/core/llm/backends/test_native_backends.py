"""What holds for Ollama and for Claude: streams, calls, cancelling, failures and recovery."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias

import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UnsupportedParameterError,
    UpstreamError,
    UpstreamTimeoutError,
)
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.claude import ClaudeBackend, open_claude
from llm_api.core.llm.backends.ollama import OllamaBackend, open_ollama
from llm_api.core.llm.backends.upstream_backend import UpstreamOptions
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    Message,
    Sampling,
    Started,
    TextDelta,
    TokenPrompt,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
)
from tests.core.llm.backends import claude_stand_in, ollama_stand_in
from tests.core.llm.backends.claude_stand_in import claude
from tests.core.llm.backends.ollama_stand_in import ollama
from tests.live import PATIENCE_SECONDS
from tests.upstreams import Asked, Reply, StandIn, answer, events, lines, stand_in

CARD: Final = ModelCard("elsewhere", 1, "llm_api", context_length=None)
KEY: Final = claude_stand_in.KEY
PROMPT: Final = ChatPrompt((Message("user", "Hi"),))
SILENCE_SECONDS: Final = 0.3

Backend: TypeAlias = ClaudeBackend | OllamaBackend


@dataclass(frozen=True, slots=True)
class Dialect:
    """A protocol. `streamed` makes a stream of parts; `beginning` ends with the text "Hel"."""

    model: str
    reply: Callable[[Asked], Reply]
    streamed: Callable[..., Reply]
    beginning: tuple[object, ...]
    key_name: str

    async def open(self, url: str) -> Backend:
        options = UpstreamOptions(url, self.model, KEY, silence_seconds=SILENCE_SECONDS)
        if self.key_name == "OLLAMA_API_KEY":
            return await open_ollama(CARD, options)
        return await open_claude(CARD, options)


OLLAMA: Final = Dialect(
    ollama_stand_in.MODEL,
    ollama,
    lines,
    ({"message": {"role": "assistant", "content": "Hel"}, "done": False},),
    "OLLAMA_API_KEY",
)
CLAUDE: Final = Dialect(
    claude_stand_in.MODEL,
    claude,
    events,
    (
        {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hel"},
        },
    ),
    "CLAUDE_API_KEY",
)


@pytest.fixture(params=[OLLAMA, CLAUDE], ids=["ollama", "claude"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture
async def upstream(dialect: Dialect) -> AsyncGenerator[StandIn, None]:
    async with stand_in(dialect.reply) as served:
        yield served


@pytest.fixture
async def backend(dialect: Dialect, upstream: StandIn) -> AsyncGenerator[Backend, None]:
    opened = await dialect.open(upstream.url)
    yield opened
    await opened.aclose()


async def said(backend: Backend, request: GenerationRequest | None = None) -> list[Event]:
    async with aclosing(backend.generate(request or GenerationRequest(PROMPT, 9))) as answered:
        return [event async for event in answered]


def text(answered: list[Event]) -> str:
    return "".join(event.text for event in answered if isinstance(event, TextDelta))


async def test_an_answer_is_streamed(backend: Backend) -> None:
    answered = await said(backend)
    assert isinstance(answered[0], Started)
    assert [event for event in answered if isinstance(event, TextDelta)] == [
        TextDelta(word) for word in ollama_stand_in.WORDS
    ]
    assert isinstance(answered[-1], Finished)
    assert answered[-1].reason == "stop"
    assert (answered[-1].usage.prompt_tokens, answered[-1].usage.completion_tokens) == (26, 3)


async def test_the_card_says_who_answers_and_what_it_can_do(backend: Backend) -> None:
    assert backend.card.id == CARD.id
    assert backend.card.backend in ("ollama", "claude")
    assert "tools" in backend.card.capabilities.abilities
    assert "tokens" not in backend.card.capabilities.abilities


async def test_a_connection_is_used_again(backend: Backend, upstream: StandIn) -> None:
    for _ in range(3):
        await said(backend)
    assert (len(upstream.asked), upstream.connections) == (3, 1)


async def test_answers_at_the_same_time_are_kept_apart(backend: Backend) -> None:
    answers = await asyncio.gather(*(said(backend) for _ in range(20)))
    assert {text(answered) for answered in answers} == {"".join(ollama_stand_in.WORDS)}


async def test_tools_are_called(backend: Backend) -> None:
    prompt = ChatPrompt(PROMPT.messages, tools=(ToolSpec("weather"), ToolSpec("clock")))
    choice = ToolChoice("auto", frozenset({"weather", "clock"}))
    answered = await said(backend, GenerationRequest(prompt, 9, tool_choice=choice))
    starts = [event for event in answered if isinstance(event, ToolCallStarted)]
    assert [(start.index, start.name) for start in starts] == [(0, "weather"), (1, "clock")]
    assert len({start.id for start in starts}) == 2
    for start in starts:
        parts = [
            event.arguments
            for event in answered
            if isinstance(event, ToolCallDelta) and event.index == start.index
        ]
        assert "".join(parts) == '{"city": "Paris", "days": 2}'
    assert isinstance(answered[-1], Finished)
    assert answered[-1].reason == "tool_calls"


async def test_who_leaves_is_not_answered_any_more(
    dialect: Dialect, backend: Backend, upstream: StandIn
) -> None:
    upstream.reply = lambda _: dialect.streamed(*dialect.beginning, 0.2, b"\n\n", 30.0)
    async with aclosing(backend.generate(GenerationRequest(PROMPT, 9))) as answered:
        async for event in answered:
            if isinstance(event, TextDelta):
                break
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not upstream.left:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (GenerationRequest(TokenPrompt((1,)), 9), "prompt"),
        (GenerationRequest(PROMPT, 9, Sampling(mirostat=1)), "mirostat"),
        (GenerationRequest(PROMPT, 9, Sampling(logit_bias=((1, 1.0),))), "logit_bias"),
        (GenerationRequest(PROMPT, 9, top_logprobs=0), "logprobs"),
        (GenerationRequest(PROMPT, 9, ignore_eos=True), "ignore_eos"),
    ],
)
async def test_what_cannot_be_done_is_not_sent(
    backend: Backend, upstream: StandIn, request_: GenerationRequest, param: str
) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        await said(backend, request_)
    assert caught.value.param == param
    assert upstream.asked == []


def refusal(status: int, type_: str = "api_error", **headers: str) -> Callable[[Dialect], Reply]:
    """A refusal that repeats the key, in the protocol's form."""

    def reply(dialect: Dialect) -> Reply:
        message = f"the reason, {KEY}"
        if dialect is OLLAMA:
            return answer({"error": message}, status, **headers)
        return claude_stand_in.failure(type_, status, message, **headers)

    return reply


FAILURES: list[tuple[Callable[[Dialect], Reply], type[LLMAPIError], str]] = [
    (refusal(400, "invalid_request_error"), InvalidRequestError, r"refused the request: the reas"),
    (refusal(401, "authentication_error"), UnavailableError, r"(CLAUDE|OLLAMA)_API_KEY"),
    (refusal(429, "rate_limit_error", retry_after="7"), OverloadedError, "busy"),
    (refusal(500), UpstreamError, r"answered 500: the reason"),
    (refusal(503), UnavailableError, r"answered 503: the reason"),
    (lambda _: Reply([b"<html>"], 502), UpstreamError, r"answered 502: <html>"),
    (lambda dialect: dialect.streamed(b"data: {\n\n"), UpstreamError, "not understood"),
    (lambda dialect: dialect.streamed(), UpstreamError, "before it was complete"),
    (lambda dialect: dialect.streamed(1.0), UpstreamTimeoutError, "did not answer in time"),
]

IN_MID_STREAM: list[tuple[Callable[[Dialect], Reply], type[LLMAPIError], str]] = [
    (lambda it: it.streamed(*it.beginning, is_cut=True), UpstreamError, "broke off"),
    (lambda it: it.streamed(*it.beginning), UpstreamError, "before it was complete"),
    (lambda it: it.streamed(*it.beginning, b"data: {\n\n"), UpstreamError, "not understood"),
    (lambda it: it.streamed(*it.beginning, 1.0), UpstreamTimeoutError, "did not answer in time"),
    (
        lambda it: it.streamed(*it.beginning, {"type": "error", "error": {"message": "no VRAM"}}),
        UpstreamError,
        "failed: no VRAM",
    ),
]


@pytest.mark.parametrize(("reply", "kind", "words"), FAILURES)
async def test_a_failure_is_told_before_the_answer_and_the_next_answer_is_right(
    dialect: Dialect,
    backend: Backend,
    upstream: StandIn,
    reply: Callable[[Dialect], Reply],
    kind: type[LLMAPIError],
    words: str,
) -> None:
    upstream.reply = lambda _: reply(dialect)
    with pytest.raises(LLMAPIError, match=words) as caught:
        await said(backend)
    assert type(caught.value) is kind
    assert KEY not in caught.value.message
    upstream.reply = dialect.reply
    assert text(await said(backend)) == "".join(ollama_stand_in.WORDS)


@pytest.mark.parametrize(("reply", "kind", "words"), IN_MID_STREAM)
async def test_a_failure_ends_the_answer_and_the_next_answer_is_right(
    dialect: Dialect,
    backend: Backend,
    upstream: StandIn,
    reply: Callable[[Dialect], Reply],
    kind: type[LLMAPIError],
    words: str,
) -> None:
    upstream.reply = lambda _: reply(dialect)
    answered: list[Event] = []

    async def keep_what_comes() -> None:
        async for event in backend.generate(GenerationRequest(PROMPT, 9)):
            answered.append(event)  # noqa: PERF401 - a comprehension would lose all at the failure

    with pytest.raises(kind, match=words):
        await keep_what_comes()
    assert text(answered) == "Hel"
    assert not any(isinstance(event, Finished) for event in answered)
    upstream.reply = dialect.reply
    assert text(await said(backend)) == "".join(ollama_stand_in.WORDS)


async def test_the_time_to_wait_is_handed_on(
    dialect: Dialect, backend: Backend, upstream: StandIn
) -> None:
    upstream.reply = lambda _: refusal(429, retry_after="7")(dialect)
    with pytest.raises(OverloadedError) as caught:
        await said(backend)
    assert caught.value.retry_after_seconds == 7.0


async def test_a_server_that_is_not_there_is_named(dialect: Dialect) -> None:
    backend = await dialect.open("http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 cannot be reached"):
        await said(backend)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 cannot be reached"):
        await backend.check()
    await backend.aclose()


async def test_a_server_that_answers_is_healthy_and_one_that_fails_is_not(
    dialect: Dialect, backend: Backend, upstream: StandIn
) -> None:
    await backend.check()
    upstream.reply = lambda _: refusal(500)(dialect)
    with pytest.raises(UnavailableError, match="answered 500"):
        await backend.check()


async def test_a_closed_backend_answers_no_more(backend: Backend) -> None:
    await backend.aclose()
    await backend.aclose()
    with pytest.raises(UnavailableError, match="stopping"):
        await said(backend)
