"""The backend for OpenAI's protocol against real servers: a second instance of ourselves, and
llama.cpp's own."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from llm_api.core.errors import ContextLengthExceededError, InvalidRequestError, UnavailableError
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.backends.openai import OpenAIBackend, OpenAIOptions, open_openai
from llm_api.core.llm.backends.openai_flavours import FlavourName
from llm_api.core.llm.backends.upstream_backend import UpstreamOptions
from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.progress import Journey
from llm_api.core.llm.types import (
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    Sampling,
    Started,
    TextDelta,
    TextPrompt,
    ToolCall,
    ToolChoice,
    ToolSpec,
)
from tests import llama_server
from tests.served.conftest import ALIAS

CARD = ModelCard("elsewhere", 1, "llm_api", None)
GREEDY = Sampling(temperature=0.0)
ENDLESS = Sampling(temperature=0.5, logit_bias=((0, -100.0), (2, -100.0)))
"""Bans SmolLM2's two ends of a text."""

CHAT = GenerationRequest(
    ChatPrompt((Message("user", "What is the capital of France?"),)), 12, sampling=GREEDY
)
LONG = replace(CHAT, max_tokens=900, sampling=ENDLESS)
ADD = ToolSpec(
    "add",
    "Adds two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)


@pytest.fixture(scope="session")
def llama_server_url() -> Iterator[str]:
    if not llama_server.IS_INSTALLED:
        pytest.skip("xllamacpp is not installed: there is no llama.cpp server to ask")
    with llama_server.llama_server(default_model_path()) as url:
        yield url


@dataclass(frozen=True, slots=True)
class Server:
    url_fixture: str
    flavour: FlavourName
    model: str
    parallel: int


OURSELVES = Server("served_url", "openai", ALIAS, parallel=4)
LLAMA_CPP = Server("llama_server_url", "llama-server", "any", parallel=llama_server.PARALLEL)


@pytest.fixture(params=[OURSELVES, LLAMA_CPP], ids=["ourselves", "llama.cpp"])
def server(request: pytest.FixtureRequest) -> Server:
    assert isinstance(request.param, Server)
    return request.param


@pytest.fixture
async def backend(
    server: Server, request: pytest.FixtureRequest
) -> AsyncGenerator[OpenAIBackend, None]:
    url: str = request.getfixturevalue(server.url_fixture)
    options = UpstreamOptions(url, server.model, silence_seconds=60.0)
    backend = await open_openai(CARD, OpenAIOptions(options, server.flavour))
    yield backend
    await backend.aclose()


async def completed(backend: Backend, request: GenerationRequest) -> Completion:
    async with aclosing(backend.generate(request)) as events:
        (completion,) = await collect((ChoiceEvent(0, event) async for event in events), 1)
    return completion


async def test_it_is_healthy(backend: OpenAIBackend) -> None:
    await backend.check()


async def test_a_conversation_is_streamed_and_counted(backend: OpenAIBackend) -> None:
    events = [event async for event in backend.generate(CHAT)]
    assert events[0] == Started(None)
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(texts) > 3
    finished = (await completed(backend, CHAT)).finished
    assert finished.usage.completion_tokens <= 12
    assert finished.usage.prompt_tokens > 5
    assert finished.usage.cached_tokens > 5  # it was asked the same before


async def test_it_tells_how_far_it_has_read(backend: OpenAIBackend) -> None:
    words = " ".join(f"word{number}" for number in range(100))
    prompt = ChatPrompt((Message("user", words),))
    await completed(backend, CHAT)  # one of ourselves is asked once it is known as such
    request = replace(CHAT, prompt=prompt, max_tokens=2, journey=Journey())
    usage = (await completed(backend, request)).finished.usage
    progress = request.journey.progress()
    assert progress is not None
    assert (progress.state, progress.prompt_tokens) == ("writing", usage.prompt_tokens)
    assert progress.cached_tokens <= progress.read_tokens == progress.prompt_tokens


async def test_an_answer_of_full_length_says_so(backend: OpenAIBackend) -> None:
    finished = (await completed(backend, replace(LONG, max_tokens=3))).finished
    assert (finished.reason, finished.usage.completion_tokens) == ("length", 3)


async def test_a_text_is_continued(backend: OpenAIBackend) -> None:
    prompt = TextPrompt("The capital of France is")
    completion = await completed(backend, replace(CHAT, prompt=prompt, max_tokens=4))
    assert "Paris" in completion.text


async def test_a_stop_string_ends_the_answer_and_is_not_in_it(backend: OpenAIBackend) -> None:
    prompt = TextPrompt("The capital of France is")
    completion = await completed(backend, replace(CHAT, prompt=prompt, stop=("Paris",)))
    assert "Paris" not in completion.text
    assert completion.finished.reason == "stop"


def earlier(a: int, b: int) -> tuple[Message, ...]:
    call = ToolCall(f"c{a}{b}", "add", json.dumps({"a": a, "b": b}))
    return (
        Message("user", f"What is {a} plus {b}?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", str(a + b), name="add", tool_call_id=call.id),
        Message("assistant", str(a + b)),
    )


SUMS = ChatPrompt(
    (
        *earlier(4, 7),
        *earlier(1, 9),
        *earlier(6, 2),
        Message("user", "What is 2 plus 3?"),
    ),
    tools=(ADD,),
)


async def test_a_tool_is_called_as_it_was_before(backend: OpenAIBackend, server: Server) -> None:
    # The wheel's server does not enforce "required": a model shown how it is done does it anyway.
    mode: Literal["auto", "required"] = "required" if server is OURSELVES else "auto"
    choice = ToolChoice(mode, frozenset({"add"}), is_parallel=False)
    completion = await completed(
        backend, replace(CHAT, prompt=SUMS, max_tokens=80, tool_choice=choice)
    )
    (call,) = completion.tool_calls
    assert call.name == "add"
    assert json.loads(call.arguments).keys() == {"a", "b"}
    assert call.id
    assert completion.finished.reason == "tool_calls"


async def test_an_answer_fits_its_schema(backend: OpenAIBackend) -> None:
    wanted = JSONFormat(ADD.parameters)
    completion = await completed(backend, replace(CHAT, max_tokens=60, output_format=wanted))
    assert json.loads(completion.text).keys() == {"a", "b"}


@pytest.mark.parametrize("prompt", [CHAT.prompt, TextPrompt("The capital of France is")])
@pytest.mark.parametrize("top", [0, 2])
async def test_logprobs_are_of_the_tokens_of_the_text(
    backend: OpenAIBackend, prompt: ChatPrompt | TextPrompt, top: int
) -> None:
    request = replace(CHAT, prompt=prompt, max_tokens=4, top_logprobs=top)
    completion = await completed(backend, request)
    sampled = completion.logprobs
    assert b"".join(one.chosen.data for one in sampled).decode() == completion.text
    assert [len(one.top) for one in sampled] == [top] * 4
    assert all(one.chosen.logprob <= 0 for one in sampled)
    assert all(one.top[0] == one.chosen for one in sampled if top)  # greedy


async def test_abandoned_answers_give_their_places_back(
    backend: OpenAIBackend, server: Server
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(server.parallel):
            events = await stack.enter_async_context(aclosing(backend.generate(LONG)))
            await anext(events)
    # A place that was not given back is taken for 900 tokens: for half a minute and more.
    async with asyncio.timeout(10):
        assert (await completed(backend, CHAT)).text


async def test_what_does_not_fit_is_refused_in_its_own_words(backend: OpenAIBackend) -> None:
    prompt = ChatPrompt((Message("user", "word " * 2000),))
    with pytest.raises(ContextLengthExceededError):
        await completed(backend, replace(CHAT, prompt=prompt))


@pytest.mark.parametrize("server", [OURSELVES], ids=["ourselves"], indirect=True)
async def test_a_model_that_is_not_there_is_not_available(
    backend: OpenAIBackend, server: Server, served_url: str
) -> None:
    other = await open_openai(CARD, OpenAIOptions(UpstreamOptions(served_url, "unknown")))
    with pytest.raises(UnavailableError, match="`unknown` does not exist"):
        await completed(other, CHAT)
    await other.aclose()


@pytest.mark.parametrize("server", [LLAMA_CPP], ids=["llama.cpp"], indirect=True)
async def test_a_grammar_that_is_none_is_the_callers_fault(
    backend: OpenAIBackend, server: Server
) -> None:
    wanted = JSONFormat({"type": "no such type"})
    with pytest.raises(InvalidRequestError):
        await completed(backend, replace(CHAT, output_format=wanted))
