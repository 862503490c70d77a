"""A wait one can see: how far the prompt is read, at every door, and no harm to the SDKs."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import ollama
import openai
import pytest

from llm_api.api.progress_frames import ASKED, Telling, progress_note, with_progress
from llm_api.core.llm.gateway.routing.replica import Replica
from llm_api.core.llm.gateway.routing.routed import RoutedBackend, RoutingLimits
from llm_api.core.llm.progress import Journey, Progress
from llm_api.core.llm.types import Event, GenerationRequest
from tests.api.bodies import chat, completion
from tests.fakes import CARD, MODEL_ID, FakeBackend, FakeServices, hello

START = Progress(1, "reading", 900, 100, 100, 0, 64, read_seconds=1.5, tokens_per_second=50.04)
DONE = replace(START, state="writing", read_tokens=900, read_seconds=16.0)
SAID = "Hello world!"
TALK: list[Any] = [{"role": "user", "content": "Hi"}]


class SlowReader(FakeBackend):
    """Reads a hundred tokens whenever somebody looks, and answers when it was looked at thrice."""

    looks_needed = 3

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        looks = 0

        def look() -> Progress:
            nonlocal looks
            looks += 1
            return DONE if is_read else replace(START, read_tokens=100 * looks, seconds_left=9.0)

        is_read = False
        request.journey.follow(look)
        started, *rest = hello(request)
        yield started  # type: ignore[misc]
        while looks < self.looks_needed:
            await asyncio.sleep(0.01)
        is_read = True
        for event in rest:
            yield event  # type: ignore[misc]


@pytest.fixture
def backend() -> FakeBackend:
    return SlowReader()


def frames_of(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/chat/completions", chat(), lambda one: one["choices"][0]["delta"].get("content", "")),
        ("/v1/completions", completion(), lambda one: one["choices"][0]["text"]),
        (
            "/infill",
            {"input_prefix": "a", "input_suffix": "b"},
            lambda one: one["content"],
        ),
    ],
)
async def test_a_stream_that_asks_is_told_how_far_its_prompt_is_read(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any], said: Callable[[Any], str]
) -> None:
    answer = await client.post(path, json={**body, "stream": True, "return_progress": True})
    assert answer.is_success, answer.text
    frames = list(frames_of(answer.text))
    told = [one["prompt_progress"] for one in frames if "prompt_progress" in one]
    assert told[0] == {
        "total": 900,
        "cache": 100,
        "processed": told[0]["processed"],
        "time_ms": 1500,
        "place_in_queue": 0,
        "tokens_per_second": 50.0,
        "seconds_left": 9.0,
    }
    assert told[-1] == told[0] | {"processed": 900, "time_ms": 16000, "seconds_left": 0.0}
    steps = [one["processed"] for one in told]
    assert len(steps) >= 3
    assert steps == sorted(set(steps))
    last_told = max(at for at, one in enumerate(frames) if "prompt_progress" in one)
    assert "".join(map(said, frames[: last_told + 1])) == ""
    assert "".join(map(said, frames[last_told + 1 :])) == SAID
    assert "x-ignored-parameters" not in answer.headers


async def test_nobody_is_told_who_does_not_ask(
    client: httpx2.AsyncClient, backend: SlowReader
) -> None:
    backend.looks_needed = 0
    for body in (chat(stream=True), chat(stream=True, return_progress=False)):
        answer = await client.post("/v1/chat/completions", json=body)
        assert "prompt_progress" not in answer.text
    whole = await client.post("/v1/chat/completions", json=chat(return_progress=True))
    assert whole.json()["choices"][0]["message"]["content"] == SAID
    assert "prompt_progress" not in whole.text


async def test_the_sdks_take_no_harm_by_what_is_told(base_url: str) -> None:
    """And it is told: each answer begins when somebody has looked three times."""

    async def chats() -> str:
        async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="x") as client:
            asked: Any = {"return_progress": True}
            async with client.chat.completions.stream(
                model=MODEL_ID, messages=TALK, extra_body=asked
            ) as stream:
                final = await stream.get_final_completion()
            return str(final.choices[0].message.content)

    async def responds() -> str:
        async with (
            openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="x") as client,
            client.responses.stream(model=MODEL_ID, input="Hi", store=False) as stream,
        ):
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert kinds.count("response.in_progress") > 1
        return str(final.output_text)

    async def writes() -> str:
        async with (
            anthropic.AsyncAnthropic(base_url=base_url, api_key="x") as client,
            client.messages.stream(model=MODEL_ID, messages=TALK, max_tokens=9) as stream,
        ):
            return await stream.get_final_text()

    def talks() -> str:
        with ollama.Client(host=base_url, trust_env=False) as client:
            parts = list(client.chat(MODEL_ID, TALK, stream=True))
        assert [one.done for one in parts] == [False] * (len(parts) - 1) + [True]
        return "".join(one.message.content or "" for one in parts)

    told = await asyncio.gather(chats(), responds(), writes(), asyncio.to_thread(talks))
    assert set(told) == {SAID}


async def test_other_doors_tell_it_by_themselves_after_a_second(
    client: httpx2.AsyncClient,
) -> None:
    answers = await asyncio.gather(
        client.post("/v1/responses", json={"model": MODEL_ID, "input": "Hi", "stream": True}),
        client.post(
            "/v1/messages",
            json={"model": MODEL_ID, "messages": TALK, "max_tokens": 9, "stream": True},
        ),
        client.post("/api/chat", json={"model": MODEL_ID, "messages": TALK}),
    )
    responses, messages, lines = (answer.text for answer in answers)
    events = list(frames_of(responses))
    told = [one for one in events if "prompt_progress" in one]
    assert {(one["type"], one["sequence_number"]) for one in told} == {("response.in_progress", 1)}
    numbers = [one["sequence_number"] for one in events if one not in told]
    assert numbers == list(range(len(numbers)))
    [first, *_] = [one for one in frames_of(messages) if "prompt_progress" in one]
    assert (first["type"], first["prompt_progress"]["total"]) == ("ping", 900)
    assert messages.index("message_start") < messages.index("prompt_progress")
    read = [json.loads(line) for line in lines.splitlines()]
    assert read[0]["message"]["content"] == ""
    assert read[0]["prompt_progress"]["cache"] == 100
    assert "".join(one["message"]["content"] for one in read) == SAID


async def test_a_routed_model_tells_at_every_door(
    client: httpx2.AsyncClient, services: FakeServices
) -> None:
    routed = RoutedBackend(CARD, [Replica("one", SlowReader())], RoutingLimits(60, 60))
    services.models.backends = [routed]
    asked = {"stream": True, "return_progress": True}
    talk = {"model": MODEL_ID, "messages": TALK}
    answers = await asyncio.gather(
        client.post("/v1/chat/completions", json=chat(**asked)),
        client.post("/v1/completions", json=completion(**asked)),
        client.post("/infill", json={"input_prefix": "a", "input_suffix": "b", **asked}),
        client.post("/v1/responses", json={"model": MODEL_ID, "input": "Hi", "stream": True}),
        client.post("/v1/messages", json={**talk, "max_tokens": 9, "stream": True}),
        client.post("/api/chat", json=talk),
        client.post("/api/generate", json={"model": MODEL_ID, "prompt": "Hi"}),
        client.post("/v1/chat/completions", json=chat(stream=True)),
    )
    *told, commented = (answer.text for answer in answers)
    for text in told:
        assert '"prompt_progress":{"total":900,"cache":100,' in text
    assert "00 of 900 tokens are read" in commented


async def test_a_stored_stream_is_not_told_twice(client: httpx2.AsyncClient) -> None:
    body = {"model": MODEL_ID, "input": "Hi", "stream": True}
    answer = await client.post("/v1/responses", json=body)
    [id] = {one["response"]["id"] for one in frames_of(answer.text) if "response" in one}
    again = await client.get(f"/v1/responses/{id}")
    assert again.json()["output"][0]["content"][0]["text"] == SAID
    assert "prompt_progress" not in again.text


async def test_a_chat_that_has_not_asked_is_told_in_comments(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/chat/completions", json=chat(stream=True))
    assert "\n: progress: 100 of 900 tokens are read, about 9 s are left\n" in answer.text
    assert "prompt_progress" not in answer.text


@pytest.mark.parametrize(
    ("progress", "note"),
    [
        (DONE, "ping"),
        (replace(START, state="waiting", place_in_queue=2), "progress: place 2 in the queue"),
        (START, "progress: 100 of 900 tokens are read"),
    ],
)
async def test_a_comment_says_what_is_waited_for(progress: Progress, note: str) -> None:
    assert progress_note([Journey(), at(progress)]) == note
    assert progress_note([Journey()]) == "ping"


# The frames by themselves


QUICK = Telling(0.001, 0.001)


def shown(progress: Progress) -> bytes:
    return f"{progress.read_tokens}/{progress.place_in_queue} ".encode()


async def said(*frames: bytes | asyncio.Event) -> AsyncGenerator[bytes, None]:
    """Frames, and what has to happen before the next."""
    for one in frames:
        if isinstance(one, bytes):
            yield one
        else:
            await one.wait()


def at(*stops: Progress, then: Callable[[], None] = lambda: None) -> Journey:
    """A journey that is at each stop when it is looked at, and stays at the last."""
    left = list(stops)

    def look() -> Progress:
        if len(left) > 1:
            return left.pop(0)
        then()
        return left[0]

    journey = Journey()
    journey.follow(look)
    return journey


async def collected(
    frames: AsyncGenerator[bytes, None], journeys: list[Journey], telling: Telling = QUICK
) -> bytes:
    told = with_progress(frames, journeys, telling, shown)
    return b"".join([one async for one in told])


async def test_what_has_not_changed_is_not_told_again() -> None:
    is_over = asyncio.Event()
    waiting = replace(START, state="waiting", read_tokens=0, place_in_queue=3)
    next_one = replace(waiting, place_in_queue=1)
    journey = at(waiting, waiting, waiting, next_one, next_one, DONE, then=is_over.set)
    assert await collected(said(b"open ", is_over, b"word"), [journey]) == b"open 0/3 0/1 word"


async def test_the_answer_that_is_behind_is_told() -> None:
    is_over = asyncio.Event()
    ahead, behind = at(replace(START, read_tokens=500)), at(START, START, DONE, then=is_over.set)
    text = await collected(said(b"open ", is_over, b"word"), [ahead, behind])
    assert text.startswith(b"open 100/0 ")


async def test_frames_before_the_answer_do_not_end_the_telling() -> None:
    is_over, is_found = asyncio.Event(), asyncio.Event()
    is_found.set()
    journey = at(*[replace(START, read_tokens=n) for n in (100, 200, 300)], DONE, then=is_over.set)
    frames = said(b"open ", is_found, b"sources ", is_over, b"word")
    text = await collected(frames, [journey])
    assert text.startswith(b"open sources ")
    assert text.endswith(b"/0 word")


async def test_a_short_answer_that_asked_is_told_that_all_is_read() -> None:
    assert await collected(said(b"open ", b"word"), [at(DONE)], ASKED) == b"open 900/0 word"


async def test_nothing_is_told_where_nobody_says_how_far_it_is() -> None:
    assert await collected(said(b"open ", b"a", b"b"), [Journey()], ASKED) == b"open ab"


async def test_no_frames_are_no_frames() -> None:
    assert await collected(said(), [Journey()]) == b""


async def test_a_client_that_leaves_while_it_waits_ends_the_work() -> None:
    is_closed = False

    async def frames() -> AsyncGenerator[bytes, None]:
        nonlocal is_closed
        try:
            yield b"open"
            await asyncio.Event().wait()
        finally:
            is_closed = True

    has_told = asyncio.Event()

    def write(_: Progress) -> bytes:
        has_told.set()
        return b"told"

    async def read() -> None:
        async with aclosing(with_progress(frames(), [at(START)], QUICK, write)) as told:
            async for _ in told:
                pass

    reading = asyncio.create_task(read())
    await has_told.wait()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert reading.cancelled()
    assert is_closed


async def test_a_failure_comes_through() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield b"open"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await collected(frames(), [at(START)])
