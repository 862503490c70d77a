"""Calls that could not be held to their schema: what is drawn anew, what is shown, what is said."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from llm_api.core.errors import OverloadedError
from llm_api.core.llm.backends.resampling import ATTEMPTS, resampled
from llm_api.core.llm.output.checking.call_judge import Verdict
from llm_api.core.llm.types import (
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    ReasoningDelta,
    RequestContext,
    Sampling,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.utils.tokens import TokenMeter
from tests.core.llm.output.reading import AUTO, request
from tests.fakes import FakeBackend, Step

WHOLE = replace(request(AUTO), context=RequestContext(is_whole=True))
STREAMED = replace(WHOLE, context=RequestContext())
TEXT, THOUGHT = TextDelta("Let me see."), ReasoningDelta("Hm.")
START = Started(5)
WARNED = Started(5, unenforced=("tag",))


def call(index: int, arguments: str, name: str = "tag") -> list[Event]:
    started = ToolCallStarted(index, f"call_{index}", name)
    return [started, ToolCallDelta(index, arguments[:1]), ToolCallDelta(index, arguments[1:])]


def end(
    reason: FinishReason = "tool_calls", attempts: int = 1, unenforced: tuple[str, ...] = ()
) -> Finished:
    usage = Usage(5 * attempts, 9 * attempts)
    return Finished(reason, usage, unenforced=unenforced)


def answer(*events: Event | list[Event], reason: FinishReason = "tool_calls") -> list[Step]:
    flat = [one for event in events for one in (event if isinstance(event, list) else [event])]
    return [START, *flat, end(reason)]


async def judge(calls: Sequence[ToolCall]) -> list[Verdict]:
    """Arguments tell what they are."""
    return [
        Verdict("twice" * (call.arguments != "good"), is_certain=call.arguments != "unknown")
        for call in calls
    ]


class Drawing:
    """Gives one answer after the other, and remembers what was asked for."""

    def __init__(self, *answers: Sequence[Step]) -> None:
        self._answers = iter(answers)
        self.backend = FakeBackend(lambda _: next(self._answers))

    async def shown(self, asked: GenerationRequest) -> list[Event]:
        events = resampled(asked, self.backend.generate, ["tag"], judge)
        async with aclosing(events):
            return [event async for event in events]

    @property
    def attempts(self) -> int:
        return len(self.backend.requests)


async def test_a_valid_call_is_the_answer() -> None:
    drawing = Drawing(answer(TEXT, call(0, "good")))
    assert await drawing.shown(WHOLE) == [START, TEXT, *call(0, "good"), end()]
    assert drawing.attempts == 1


async def test_an_invalid_call_is_drawn_anew_and_both_are_counted() -> None:
    drawing = Drawing(answer(TEXT, call(0, "bad")), answer(call(0, "good")))
    assert await drawing.shown(WHOLE) == [START, *call(0, "good"), end(attempts=2)]


async def test_a_further_attempt_differs_and_does_so_the_same_way_each_time() -> None:
    for sampling, later in (
        (Sampling(temperature=0), Sampling(temperature=0.7, seed=1000)),
        (Sampling(temperature=1.2, seed=5), Sampling(temperature=1.2, seed=1005)),
        (Sampling(temperature=1.2), Sampling(temperature=1.2)),
    ):
        drawing = Drawing(answer(call(0, "bad")), answer(call(0, "good")))
        asked = replace(WHOLE, sampling=sampling)
        await drawing.shown(asked)
        assert drawing.backend.requests == [asked, replace(asked, sampling=later)]


async def test_where_none_is_valid_the_best_is_shown_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worse = answer(call(0, "bad"), call(1, "bad"))
    better = answer(call(0, "good"), call(1, "bad"))
    drawing = Drawing(worse, better, worse)
    assert await drawing.shown(WHOLE) == [
        START,
        *call(0, "good"),
        *call(1, "bad"),
        end(attempts=ATTEMPTS, unenforced=("tag",)),
    ]
    assert "a call of tag does not follow its schema" in caplog.text


async def test_a_call_of_which_nobody_can_tell_is_not_drawn_anew_but_named() -> None:
    drawing = Drawing(answer(call(0, "unknown")))
    assert (await drawing.shown(WHOLE))[-1] == end(unenforced=("tag",))
    assert drawing.attempts == 1


async def test_a_stream_says_beforehand_of_which_functions_calls_may_be_invalid() -> None:
    drawing = Drawing(answer(call(0, "good")))
    assert (await drawing.shown(STREAMED))[0] == WARNED


async def test_a_call_that_nothing_was_shown_before_is_drawn_anew_in_a_stream_as_well() -> None:
    drawing = Drawing(answer(call(0, "bad")), answer(call(0, "good")))
    assert await drawing.shown(STREAMED) == [WARNED, *call(0, "good"), end(attempts=2)]


@pytest.mark.parametrize("before", [[TEXT], [THOUGHT], call(0, "bad", name="other")])
async def test_what_was_shown_is_not_taken_back(before: list[Event]) -> None:
    bad = call(1, "bad")
    drawing = Drawing(answer(before, bad))
    assert await drawing.shown(STREAMED) == [WARNED, *before, *bad, end(unenforced=("tag",))]
    assert drawing.attempts == 1


async def test_what_a_further_attempt_has_shown_is_not_taken_back_either() -> None:
    drawing = Drawing(
        answer(call(0, "bad")), answer(TEXT, call(0, "bad"), call(1, "bad")), answer(TEXT)
    )
    assert await drawing.shown(STREAMED) == [
        WARNED,
        TEXT,
        *call(0, "bad"),
        *call(1, "bad"),
        end(attempts=2, unenforced=("tag",)),
    ]


async def test_text_before_a_call_streams_and_the_call_comes_when_it_is_judged() -> None:
    drawing = Drawing([START, TEXT, *call(0, "good"), 60.0])
    events = resampled(STREAMED, drawing.backend.generate, ["tag"], judge)
    async with aclosing(events):
        assert [await anext(events), await anext(events)] == [WARNED, TEXT]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.05)


async def test_a_cut_call_is_not_judged() -> None:
    drawing = Drawing(answer(call(0, "bad"), reason="length"))
    assert await drawing.shown(WHOLE) == [START, *call(0, "bad"), end("length")]
    assert drawing.attempts == 1


async def test_an_answer_without_a_call_is_as_good_as_one_with_a_valid_one() -> None:
    drawing = Drawing(answer(call(0, "bad")), answer(TEXT, reason="stop"))
    assert await drawing.shown(WHOLE) == [START, TEXT, end("stop", attempts=2)]


async def test_where_no_further_attempt_can_be_made_there_is_the_first() -> None:
    drawing = Drawing(answer(call(0, "bad")), [OverloadedError("full", retry_after_seconds=1)])
    assert (await drawing.shown(WHOLE))[-1] == end(unenforced=("tag",))
    with pytest.raises(OverloadedError):
        await Drawing([OverloadedError("full", retry_after_seconds=1)]).shown(WHOLE)


async def test_whatever_was_drawn_is_metered_though_nothing_was_shown() -> None:
    drawing = Drawing(answer(call(0, "bad")), [START, *call(0, "good")[:2], 60.0])
    asked = replace(STREAMED, meter=TokenMeter())
    events = resampled(asked, drawing.backend.generate, ["tag"], judge)
    async with aclosing(events):
        assert await anext(events) == WARNED
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.05)
    assert asked.meter.tokens == (5 + 9) + (5 + 2)


async def test_to_leave_is_to_abort_the_attempt() -> None:
    drawing = Drawing(answer(TEXT, call(0, "good")))
    async with aclosing(resampled(STREAMED, drawing.backend.generate, ["tag"], judge)) as events:
        async for event in events:
            if event == TEXT:
                break
    assert drawing.backend.aborted == drawing.backend.requests
