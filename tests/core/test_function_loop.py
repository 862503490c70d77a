"""The rounds of an answer whose functions the server runs, over a backend that plays a script."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import JsonValue

from llm_api.core.errors import GenerationError
from llm_api.core.function_loop import FunctionLoop
from llm_api.core.functions.runner import FunctionRunner
from llm_api.core.functions.types import FunctionSpec, Origin
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    FinishReason,
    FunctionExecuted,
    GenerationRequest,
    Message,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolSpec,
    Usage,
)
from tests.fakes import FakeBackend, Step

TESTS = Origin("program", "tests")


@dataclass
class Recorder:
    """A function that remembers its calls and answers as it is told."""

    name: str
    answer: Callable[[], Any] = lambda: "fine"
    calls: list[Mapping[str, JsonValue]] = field(default_factory=list)
    cancelled: int = 0
    origin: Origin = TESTS
    timeout_seconds: float | None = None

    @property
    def spec(self) -> FunctionSpec:
        return FunctionSpec(self.name, "", {"type": "object"})

    async def call(self, arguments: Mapping[str, JsonValue]) -> str:
        self.calls.append(arguments)
        try:
            answer = self.answer()
            return json.dumps(await answer if asyncio.iscoroutine(answer) else answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def called(
    *names: str, text: str = "", argument: str = "", reason: FinishReason = "tool_calls"
) -> list[Step]:
    """A round in which these functions are called, by default with their names as an argument."""
    steps: list[Step] = [Started(5)]
    if text:
        steps.append(TextDelta(text))
    for index, name in enumerate(names):
        steps += [
            ToolCallStarted(index, f"call_{name}", name),
            ToolCallDelta(index, '{"from": '),
            ToolCallDelta(index, f'"{argument or name}"}}'),
        ]
    return [*steps, Finished(reason, Usage(5, 10, cached_tokens=1))]


def said(text: str) -> list[Step]:
    return [Started(9), TextDelta(text), Finished("stop", Usage(9, 2))]


def playing(*rounds: Sequence[Step]) -> FakeBackend:
    left = list(rounds)
    return FakeBackend(script=lambda _: left.pop(0))


def loop(backend: FakeBackend, *functions: Recorder, max_rounds: int = 4) -> FunctionLoop:
    return FunctionLoop(backend, functions, FunctionRunner(1, 1000), max_rounds)


def asked(*tools: str, mode: Any = "auto", max_tokens: int = 100) -> GenerationRequest:
    return GenerationRequest(
        ChatPrompt((Message("user", "Do it."),), tools=tuple(map(ToolSpec, tools))),
        max_tokens,
        tool_choice=ToolChoice(mode, frozenset(tools)),
    )


async def events(loop: FunctionLoop, request: GenerationRequest) -> list[Event]:
    return [event async for event in loop.generate(request)]


def prompt_of(request: GenerationRequest) -> ChatPrompt:
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt


async def test_a_call_is_made_and_its_result_goes_back_to_the_model() -> None:
    clock, backend = Recorder("clock"), playing(called("clock", text="Let me see. "), said("Noon."))
    shown = await events(loop(backend, clock), asked("clock", mode="required"))
    assert clock.calls == [{"from": "clock"}]
    call = ToolCall("call_clock", "clock", '{"from": "clock"}')
    [executed] = [event for event in shown if isinstance(event, FunctionExecuted)]
    assert (executed.index, executed.call, executed.result) == (0, call, '"fine"')
    assert not executed.is_error
    assert [event for event in shown if not isinstance(event, FunctionExecuted)] == [
        Started(5),
        TextDelta("Let me see. "),
        TextDelta("Noon."),
        Finished("stop", Usage(14, 12, cached_tokens=1)),
    ]
    _, second = backend.requests
    assert prompt_of(second).messages[1:] == (
        Message("assistant", "Let me see. ", tool_calls=(call,)),
        Message("tool", '"fine"', name="clock", tool_call_id="call_clock"),
    )
    assert second.tool_choice == ToolChoice("auto", frozenset({"clock"}))
    assert second.max_tokens == 90


async def test_the_calls_of_a_round_are_made_at_the_same_time() -> None:
    arrived: list[str] = []
    both_are_there = asyncio.Event()

    def meeting(name: str) -> Callable[[], Any]:
        async def wait() -> str:
            arrived.append(name)
            if len(arrived) == 2:
                both_are_there.set()
            await both_are_there.wait()
            return name

        return wait

    functions = [Recorder(name, meeting(name)) for name in ("one", "two")]
    shown = await events(
        loop(playing(called("one", "two"), said("Met.")), *functions), asked("one", "two")
    )
    results = [event.result for event in shown if isinstance(event, FunctionExecuted)]
    assert results == ['"one"', '"two"']


async def test_the_client_s_calls_end_the_answer_and_are_counted_from_zero() -> None:
    own = Recorder("own")
    backend = playing(called("own", "theirs", "theirs_too"))
    shown = await events(loop(backend, own), asked("own", "theirs", "theirs_too"))
    started = [event for event in shown if isinstance(event, ToolCallStarted)]
    assert [(call.index, call.name) for call in started] == [(0, "theirs"), (1, "theirs_too")]
    assert {event.index for event in shown if isinstance(event, ToolCallDelta)} == {0, 1}
    assert isinstance(shown[-1], Finished)
    assert shown[-1].reason == "tool_calls"
    assert own.calls == [{"from": "own"}]
    assert len(backend.requests) == 1


async def test_after_the_last_round_the_model_has_to_answer() -> None:
    own = Recorder("own")
    backend = playing(called("own"), called("own", argument="again"), said("Enough."))
    shown = await events(loop(backend, own, max_rounds=2), asked("own"))
    assert len(own.calls) == 2
    last = backend.requests[-1]
    assert (last.tool_choice, prompt_of(last).tools) == (None, ())
    assert TextDelta("Enough.") in shown
    indices = [event.index for event in shown if isinstance(event, FunctionExecuted)]
    assert indices == [0, 1]


async def test_a_model_that_repeats_itself_has_to_answer() -> None:
    own = Recorder("own")
    backend = playing(called("own"), called("own"), said("Well then."))
    await events(loop(backend, own, max_rounds=8), asked("own"))
    assert [request.tool_choice is None for request in backend.requests] == [False, False, True]


async def test_an_answer_that_was_cut_calls_nothing() -> None:
    own = Recorder("own")
    shown = await events(loop(playing(called("own", reason="length")), own), asked("own"))
    assert own.calls == []
    assert shown == [Started(5), Finished("length", Usage(5, 10, cached_tokens=1))]


async def test_all_rounds_together_stay_within_the_tokens_allowed() -> None:
    own, backend = Recorder("own"), playing(called("own"), said("never"))
    shown = await events(loop(backend, own), asked("own", max_tokens=10))
    assert len(backend.requests) == 1
    assert isinstance(shown[-1], Finished)
    assert shown[-1].reason == "length"


async def test_a_function_that_fails_is_told_to_the_model() -> None:
    def fail() -> None:
        raise ValueError("no such place")

    backend = playing(called("own"), said("Sorry."))
    shown = await events(loop(backend, Recorder("own", fail)), asked("own"))
    [executed] = [event for event in shown if isinstance(event, FunctionExecuted)]
    assert executed.is_error
    assert "no such place" in prompt_of(backend.requests[1]).messages[-1].content


async def test_who_leaves_cancels_the_functions_that_run() -> None:
    slow = Recorder("slow", lambda: asyncio.sleep(30))
    working = asyncio.create_task(events(loop(playing(called("slow")), slow), asked("slow")))
    while not slow.calls:
        await asyncio.sleep(0.01)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert slow.cancelled == 1


async def test_a_round_that_breaks_off_is_a_failure() -> None:
    with pytest.raises(GenerationError):
        await events(loop(playing([Started(5), TextDelta("Hm")])), asked("own"))
