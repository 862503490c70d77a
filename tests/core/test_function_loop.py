"""The rounds of an answer whose functions the server runs, over a backend that plays a script."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    JSONFormat,
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


async def test_a_model_that_repeats_itself_has_to_answer_and_calls_nothing_twice() -> None:
    own = Recorder("own")
    backend = playing(called("own"), called("own"), said("Well then."))
    shown = await events(loop(backend, own, max_rounds=8), asked("own"))
    assert [request.tool_choice is None for request in backend.requests] == [False, False, True]
    assert own.calls == [{"from": "own"}]
    assert shown[-2:] == [TextDelta("Well then."), shown[-1]]
    assert len(prompt_of(backend.requests[2]).messages) == 3  # not what was said twice


async def test_round_that_makes_one_call_again_and_again_is_stopped() -> None:
    own, other = Recorder("own"), Recorder("other")
    endless = called("other", *["own"] * 50, reason="length")
    backend = playing(endless, said("Well then."))
    shown = await events(loop(backend, own, other), asked("own", "other"))
    assert backend.aborted == backend.requests[:1]
    assert (len(own.calls), len(other.calls)) == (1, 1)
    assert TextDelta("Well then.") in shown
    words = 7  # of the calls, the one that had just begun included
    assert isinstance(shown[-1], Finished)
    assert (shown[-1].reason, shown[-1].usage.prompt_tokens) == ("stop", 14)
    assert shown[-1].usage.completion_tokens == words + 2
    assert [event.index for event in shown if isinstance(event, FunctionExecuted)] == [0, 1]


async def test_calls_are_equal_by_the_values_of_their_arguments() -> None:
    def calling(*texts: str) -> list[Step]:
        steps: list[Step] = [Started(5)]
        for index, text in enumerate(texts):
            steps += [ToolCallStarted(index, f"c{text}", "own"), ToolCallDelta(index, text)]
        return [*steps, Finished("tool_calls", Usage(5, 10))]

    own = Recorder("own")
    rounds = (
        calling('{"a": 1, "b": "x"}', '{"b":"x","a":1.0}'),
        calling('{"a": 2}', '{"a": 1, "b": "x"}'),
    )
    await events(loop(playing(*rounds, said("Done.")), own), asked("own"))
    assert own.calls == [{"a": 1, "b": "x"}, {"a": 2}]


async def test_behind_results_the_answer_is_in_words() -> None:
    own = Recorder("own")
    backend = playing(called("own"), said("Fine."))
    await events(loop(backend, own), asked("own"))
    assert [request.is_prose for request in backend.requests] == [False, True]


NO_ANSWERS = [
    "",
    " \n",
    '{"name": "own", "arguments": {}}',
    '```json\n{"name": "own", "parameters": {}}\n```',
    '<tool_response>\n"fine"\n</tool_response>',
]


@pytest.mark.parametrize("text", NO_ANSWERS)
@pytest.mark.parametrize("size", [1, 1000])
async def test_what_is_no_answer_is_not_shown_and_asked_again_without_tools(
    text: str, size: int
) -> None:
    pieces = [TextDelta(text[at : at + size]) for at in range(0, len(text), size)]
    again: list[Step] = [Started(9), *pieces, Finished("stop", Usage(9, 2))]
    backend = playing(called("own"), again, said("It is fine."))
    shown = await events(loop(backend, Recorder("own")), asked("own"))
    said_text = "".join(event.text for event in shown if isinstance(event, TextDelta))
    assert said_text.strip() == "It is fine."
    last = backend.requests[-1]
    assert (last.tool_choice, prompt_of(last).tools, last.is_prose) == (None, (), True)


async def test_empty_answer_is_asked_again_once() -> None:
    backend = playing(said(""), said(""))
    shown = await events(loop(backend, Recorder("own")), asked("own"))
    assert isinstance(shown[-1], Finished)
    assert len(backend.requests) == 2


@pytest.mark.parametrize("text", ['{"degrees": 7}', "```json\n{}\n```", "{not json", "<b>7</b>"])
async def test_what_begins_like_a_call_and_is_none_is_the_answer(text: str) -> None:
    shown = await events(loop(playing(called("own"), said(text)), Recorder("own")), asked("own"))
    assert TextDelta(text) in shown


async def test_demanded_json_is_the_answer_though_it_is_a_result() -> None:
    backend = playing(called("own"), said('{"name": "own", "arguments": {}}'))
    request = replace(asked("own"), output_format=JSONFormat({"type": "object"}))
    shown = await events(loop(backend, Recorder("own")), request)
    assert TextDelta('{"name": "own", "arguments": {}}') in shown
    assert backend.requests[1].output_format == request.output_format


async def test_call_that_is_cut_is_not_shown_as_text() -> None:
    cut: list[Step] = [Started(9), TextDelta("<tool_call>\n{"), Finished("length", Usage(9, 2))]
    shown = await events(loop(playing(called("own"), cut), Recorder("own")), asked("own"))
    assert not any(isinstance(event, TextDelta) for event in shown)
    assert isinstance(shown[-1], Finished)
    assert shown[-1].reason == "length"


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
