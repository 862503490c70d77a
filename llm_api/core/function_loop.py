"""Chat with functions that the server runs: generate, call, go on, as one stream of events."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import assert_never

from llm_api.core.functions.runner import FunctionRunner
from llm_api.core.functions.types import Function
from llm_api.core.llm.backend import Backend, BorrowingBackend
from llm_api.core.llm.collect import added, cut_short
from llm_api.core.llm.types import (
    Annotation,
    ChatPrompt,
    Event,
    Finished,
    FunctionExecuted,
    GenerationRequest,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)


class FunctionLoop(BorrowingBackend):
    """A backend that makes the model's calls of its functions, and lets it go on with the results.

    Calls of other tools are the client's: an answer ends with them. After `max_rounds` rounds of
    calls, `max_calls` calls, or a round that only repeats earlier ones, the model has to answer
    without any. `max_tokens` bounds all rounds together.
    """

    def __init__(
        self,
        backend: Backend,
        functions: Sequence[Function],
        runner: FunctionRunner,
        max_rounds: int,
        max_calls: int | None = None,
    ) -> None:
        super().__init__(backend)
        self._functions = {function.spec.name: function for function in functions}
        self._runner = runner
        self._max_rounds = max_rounds
        self._max_calls = max_calls

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`, with a FunctionExecuted for every call that was made here."""
        spent = Finished("stop", Usage(0, 0))  # by all rounds so far
        made: list[ToolCall] = []
        for rounds_left in range(self._max_rounds, -1, -1):
            turn = _Turn(self._functions, is_first=rounds_left == self._max_rounds)
            async with aclosing(self._backend.generate(request)) as events:
                async for event in events:
                    for shown in turn.take(event):
                        yield shown
            spent = added(spent, turn.finished)
            calls = turn.own_calls[: self._calls_left(made)]
            outcomes = await self.execute(calls, len(made))
            for outcome in outcomes:
                yield outcome
            if not outcomes or turn.has_client_calls:
                break
            request = _continued(request, turn, outcomes)
            is_last = rounds_left == 1 or all(_is_repeated(call, made) for call in calls)
            made += calls
            if is_last or self._calls_left(made) == 0:
                request = _without_tools(request)
            if request.max_tokens is not None and request.max_tokens <= 0:
                spent = replace(spent, reason="length")
                break
        yield spent

    def _calls_left(self, made: Sequence[ToolCall]) -> int | None:
        """How many calls may still be made; None is without limit."""
        return None if self._max_calls is None else self._max_calls - len(made)

    async def execute(self, calls: Sequence[ToolCall], first: int) -> list[FunctionExecuted]:
        """Make all calls of a round at the same time. To cancel is to cancel all of them."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._execute_one(call, index))
                for index, call in enumerate(calls, first)
            ]
        return [task.result() for task in tasks]

    async def _execute_one(self, call: ToolCall, index: int) -> FunctionExecuted:
        result = await self._runner.run(self._functions[call.name], call.arguments)
        return FunctionExecuted(
            index, call, result.content, result.is_error, result.duration_seconds
        )


class ApprovedCalls(BorrowingBackend):
    """A backend that first makes calls which the conversation ends with; its prompt has them."""

    def __init__(
        self,
        backend: Backend,
        calls: Sequence[ToolCall],
        functions: Sequence[Function],
        runner: FunctionRunner,
    ) -> None:
        super().__init__(backend)
        self._calls = calls
        self._loop = FunctionLoop(backend, functions, runner, max_rounds=0)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`, with a FunctionExecuted for every call after `Started`."""
        outcomes = await self._loop.execute(self._calls, 0)
        prompt = _chat_prompt(request)
        messages = (*prompt.messages, *_results(outcomes))
        request = replace(request, prompt=replace(prompt, messages=messages))
        async with aclosing(self._backend.generate(request)) as events:
            async for event in events:
                yield event
                if isinstance(event, Started):
                    for outcome in outcomes:
                        yield outcome


@dataclass(slots=True)
class _Turn:
    """One round of generation: what the client sees of it, and what is kept from it."""

    functions: Collection[str]
    is_first: bool
    text: str = ""
    reasoning: str = ""
    _finished: Finished | None = None
    _own: dict[int, ToolCall] = field(default_factory=dict)
    _clients: dict[int, int] = field(default_factory=dict)  # index here, index for the client

    @property
    def finished(self) -> Finished:
        """How the round ended. Raises GenerationError where it broke off."""
        if self._finished is None:
            raise cut_short()
        return self._finished

    @property
    def own_calls(self) -> tuple[ToolCall, ...]:
        """The calls to be made here: none where the answer was cut."""
        return tuple(self._own.values()) if self.finished.reason == "tool_calls" else ()

    @property
    def has_client_calls(self) -> bool:
        return bool(self._clients)

    def take(self, event: Event) -> Iterator[Event]:
        """What of this event is for the client."""
        match event:
            case Finished():
                self._finished = event
            case ToolCallStarted() | ToolCallDelta():
                yield from self._take_call(event)
            case TextDelta(text):
                self.text += text
                yield event
            case ReasoningDelta(text):
                self.reasoning += text
                yield event
            case Started():
                if self.is_first:
                    yield event
            case FunctionExecuted() | Annotation():
                yield event
            case other:
                assert_never(other)

    def _take_call(self, event: ToolCallStarted | ToolCallDelta) -> Iterator[Event]:
        """Keep what is for the server's own calls; count the client's from 0."""
        match event:
            case ToolCallStarted(index, id, name) if name in self.functions:
                self._own[index] = ToolCall(id, name, "")
            case ToolCallDelta(index, arguments) if index in self._own:
                call = self._own[index]
                self._own[index] = replace(call, arguments=call.arguments + arguments)
            case _:
                index = self._clients.setdefault(event.index, len(self._clients))
                yield replace(event, index=index)


def _continued(
    request: GenerationRequest, turn: _Turn, outcomes: Sequence[FunctionExecuted]
) -> GenerationRequest:
    """The request for the next round. A call that was demanded has been made by now."""
    prompt = _chat_prompt(request)
    calls = tuple(outcome.call for outcome in outcomes)
    asked = Message("assistant", turn.text, tool_calls=calls, reasoning=turn.reasoning)
    answered = _results(outcomes)
    choice, most = request.tool_choice, request.max_tokens
    return replace(
        request,
        prompt=replace(prompt, messages=(*prompt.messages, asked, *answered)),
        tool_choice=None if choice is None else replace(choice, mode="auto"),
        max_tokens=None if most is None else most - turn.finished.usage.completion_tokens,
    )


def _results(outcomes: Sequence[FunctionExecuted]) -> tuple[Message, ...]:
    return tuple(
        Message("tool", one.result, name=one.call.name, tool_call_id=one.call.id)
        for one in outcomes
    )


def _is_repeated(call: ToolCall, made: Sequence[ToolCall]) -> bool:
    return any((call.name, call.arguments) == (one.name, one.arguments) for one in made)


def _without_tools(request: GenerationRequest) -> GenerationRequest:
    prompt = replace(_chat_prompt(request), tools=())
    return replace(request, prompt=prompt, tool_choice=None)


def _chat_prompt(request: GenerationRequest) -> ChatPrompt:
    if not isinstance(request.prompt, ChatPrompt):
        raise TypeError("functions are for conversations")
    return request.prompt
