"""One answer of a backend that was asked in words: what is shown at once, what is kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, assert_never

from llm_api.core.llm.collect import cut_short
from llm_api.core.llm.gateway.emulation.checks import InvalidAnswerError
from llm_api.core.llm.gateway.emulation.plan import EmulationPlan
from llm_api.core.llm.gateway.emulation.prompts import CONVENTION, example_call
from llm_api.core.llm.output.reader import OutputReader, Piece, ReadingRules, Visible
from llm_api.core.llm.output.reasoning import ReasoningMarks
from llm_api.core.llm.types import (
    Annotation,
    AnswerDelta,
    Event,
    Finished,
    FunctionExecuted,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)

_THOUGHTS: Final = ReasoningMarks("<think>", "</think>")


class AttemptReader:
    """Takes in the events of one attempt.

    Thoughts are shown at once, and so is text, unless it has to be checked or calls are demanded.
    Calls are kept until the answer is complete: they are valid all together, or none is made.
    """

    def __init__(self, plan: EmulationPlan, new_id: Callable[[], str]) -> None:
        self._plan = plan
        self._reader = OutputReader(_rules(plan), new_id)
        self._keeps_text = plan.is_required or plan.format_check is not None
        self._said: list[str] = []
        self._kept: list[str] = []
        self._calls: list[ToolCall] = []
        self._is_unreadable = False
        self._has_own_calls = False
        self._finished: Finished | None = None

    @property
    def text(self) -> str:
        """All that the model wrote, as it wrote it."""
        return "".join(self._said)

    @property
    def finished(self) -> Finished:
        """How it ended. Raises GenerationError where it broke off."""
        if self._finished is None:
            raise cut_short()
        return self._finished

    def take(self, event: Event) -> Iterator[Event]:
        """What of this event is to be shown at once."""
        match event:
            case TextDelta(text):
                self._said.append(text)
                yield from self._read(self._reader.feed(text))
            case Finished():
                self._finished = event
                yield from self._read(self._reader.flush())
            case ToolCallStarted() | ToolCallDelta():
                self._has_own_calls = True
                yield event
            case Started() | ReasoningDelta() | Annotation() | FunctionExecuted():
                yield event
            case other:
                assert_never(other)

    def rest(self, *, bears: bool = False) -> list[Event]:
        """What was kept, now that it is checked, and the end. Blocks.

        An answer that was cut has no calls, and its text is what there is of it. Where nothing
        better is to come, it `bears` calls that break what cannot be enforced. Raises
        InvalidAnswerError.
        """
        finished = self.finished
        if finished.reason == "length":
            return [*self._text_events("".join(self._kept)), finished]
        if self._is_unreadable:
            names = ", ".join(tool.name for tool in self._plan.tools)
            raise InvalidAnswerError(
                f"That is no function call. The functions are: {names}."
                f" A call is written like this:\n{example_call()}"
            )
        if self._calls:
            broken = self._plan.call_check.broken(self._calls, bears=bears)
            end = replace(finished, reason="tool_calls", unenforced=broken)
            return [*self._call_events(), end]
        if self._plan.is_required:
            raise InvalidAnswerError("A function must be called.")
        return [*self._text_events(self._checked_text()), finished]

    def _read(self, pieces: Sequence[Piece]) -> Iterator[AnswerDelta]:
        for piece in pieces:
            match piece:
                case Visible(_, text):
                    yield from self._read_text(text)
                case ReasoningDelta():
                    yield piece
                case ToolCallStarted(_, id, name):
                    self._calls.append(ToolCall(id, name, ""))
                case ToolCallDelta(_, arguments):
                    call = self._calls[-1]
                    self._calls[-1] = replace(call, arguments=call.arguments + arguments)

    def _read_text(self, text: str) -> Iterator[AnswerDelta]:
        """Text up to a mark that the reader made no call of: behind it nothing is text."""
        if self._plan.tools and not self._is_unreadable:
            text, mark, _ = text.partition(CONVENTION.trigger)
            self._is_unreadable = bool(mark)
        elif self._is_unreadable:
            return
        if self._keeps_text:
            self._kept.append(text)
        else:
            yield from self._text_events(text)

    def _checked_text(self) -> str:
        text = "".join(self._kept)
        check = self._plan.format_check
        return text if check is None or self._has_own_calls else check.read(text)

    def _text_events(self, text: str) -> list[AnswerDelta]:
        return [TextDelta(text)] if text else []

    def _call_events(self) -> Iterator[AnswerDelta]:
        for index, call in enumerate(self._calls):
            yield ToolCallStarted(index, call.id, call.name)
            yield ToolCallDelta(index, call.arguments)


def _rules(plan: EmulationPlan) -> ReadingRules:
    return ReadingRules(
        formats=(CONVENTION,) if plan.tools else (),
        tools=plan.tools,
        marks=_THOUGHTS,
        is_parallel=plan.is_parallel,
        only_at_beginning=plan.format_check is not None,
    )
