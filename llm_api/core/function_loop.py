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
from llm_api.core.llm.output.echoes import json_meaning, may_say_nothing, says_nothing
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

    Calls of other tools are the client's: an answer ends with them. No call is made twice in one
    answer: what is equal to an earlier one is left out. After `max_rounds` rounds of calls,
    `max_calls` calls, or a round that only repeats earlier ones, the model has to answer in words,
    without any function; so it has where its answer is no answer, once. `max_tokens` bounds all
    rounds together.
    """

    def __init__(
        self,
        backend: Backend,
        functions: Sequence[Function],
        runner: FunctionRunner,
        max_rounds: int,
        max_calls: int | None = None,
        made: Sequence[FunctionExecuted] = (),
    ) -> None:
        """`made` are calls that the prompt ends with; they count, and are not made again."""
        super().__init__(backend)
        self._functions = {function.spec.name: function for function in functions}
        self._runner = runner
        self._max_rounds = max_rounds
        self._max_calls = max_calls
        self._made = made

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`, with a FunctionExecuted for every call that was made here."""
        spent = Finished("stop", Usage(0, 0))  # by all rounds so far
        made = [*self._made]
        rounds, is_last = 0, False
        while True:
            results = [outcome.result for outcome in made] if request.output_format is None else []
            turn = _Turn(self._functions, results, is_first=rounds == 0, is_last=is_last)
            async with aclosing(self._played(request, turn)) as events:
                async for event in events:
                    yield event
            rounds, spent = rounds + 1, added(spent, turn.finished)
            outcomes = await self.execute(self._fresh(turn.own_calls, made), len(made))
            for outcome in outcomes:
                yield outcome
            made += outcomes
            if turn.has_client_calls or not (turn.own_calls or turn.is_no_answer) or is_last:
                break
            is_last = not outcomes or rounds >= self._max_rounds or len(made) == self._max_calls
            request = _continued(request, turn, outcomes)
            if is_last:
                request = _without_tools(request)
            if request.max_tokens is not None and request.max_tokens <= 0:
                spent = replace(spent, reason="length")
                break
        yield spent

    async def _played(
        self, request: GenerationRequest, turn: "_Turn"
    ) -> AsyncGenerator[Event, None]:
        """What the client sees of a round."""
        async with aclosing(self._backend.generate(request)) as events:
            async for event in events:
                for shown in turn.take(event):
                    yield shown
                if turn.goes_in_circles:
                    break
        if turn.goes_in_circles:
            turn.stop(sum(await self.count_tokens(turn.written)))
        for shown in turn.rest():
            yield shown

    def _fresh(self, calls: Sequence[ToolCall], made: Sequence[FunctionExecuted]) -> list[ToolCall]:
        """The calls that are equal to none before them, as many as may still be made."""
        known = [_meaning(outcome.call) for outcome in made]
        fresh = []
        for call in calls:
            if (meaning := _meaning(call)) not in known:
                known.append(meaning)
                fresh.append(call)
        return fresh if self._max_calls is None else fresh[: self._max_calls - len(made)]

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
    """One round of generation: what the client sees of it, and what is kept from it.

    Behind results, text that begins like a call or a result is `_held` until it is known to be an
    answer. In the last round there is no other to come, and all is shown. `goes_in_circles` says
    that the model makes one call again and again, which small ones do until their tokens end.
    """

    functions: Collection[str]
    results: Sequence[str]
    is_first: bool
    is_last: bool
    text: str = ""
    reasoning: str = ""
    goes_in_circles: bool = False
    _prompt_tokens: int | None = None
    _held: list[TextDelta] = field(default_factory=list)
    _is_begun: bool = False
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
    def _may_be_stopped(self) -> bool:
        """Whether its usage can be told, and no call of the client would be lost."""
        return self._prompt_tokens is not None and not self._clients

    @property
    def written(self) -> list[str]:
        """What the model wrote so far, about: its tokens are counted where it is stopped."""
        return [
            self.text,
            self.reasoning,
            *(f"{one.name}{one.arguments}" for one in self._own.values()),
        ]

    def stop(self, completion_tokens: int) -> None:
        """End the round before the call that has just begun."""
        self._own.popitem()
        self._finished = Finished("tool_calls", Usage(self._prompt_tokens or 0, completion_tokens))

    @property
    def has_client_calls(self) -> bool:
        return bool(self._clients)

    @property
    def is_no_answer(self) -> bool:
        """Whether the model ended with nothing, or with what only repeats calls and results."""
        if self.is_last or self._is_begun or self.finished.reason != "stop":
            return False
        return says_nothing(self.text, self.results)

    def rest(self) -> Iterator[Event]:
        """What was held and is to be shown after all: not where a call was cut."""
        is_cut = self.finished.reason == "length" and self.text.lstrip().startswith("<")
        if not is_cut and not self.is_no_answer:
            yield from self._held
        self._held = []

    def take(self, event: Event) -> Iterator[Event]:
        """What of this event is for the client."""
        match event:
            case Finished():
                self._finished = event
            case ToolCallStarted() | ToolCallDelta():
                yield from self._show_held()
                yield from self._take_call(event)
            case TextDelta(text):
                self.text += text
                self._held.append(event)
                if self._is_begun or not (self.results and may_say_nothing(self.text)):
                    yield from self._show_held()
            case ReasoningDelta(text):
                self.reasoning += text
                yield event
            case Started(prompt_tokens):
                self._prompt_tokens = prompt_tokens
                if self.is_first:
                    yield event
            case FunctionExecuted() | Annotation():
                yield event
            case other:
                assert_never(other)

    def _show_held(self) -> Iterator[Event]:
        held, self._held = self._held, []
        self._is_begun = self._is_begun or bool(self.text.strip())
        yield from held

    def _take_call(self, event: ToolCallStarted | ToolCallDelta) -> Iterator[Event]:
        """Keep what is for the server's own calls; count the client's from 0."""
        match event:
            case ToolCallStarted(index, id, name) if name in self.functions:
                own = [_meaning(call) for call in self._own.values()]
                self.goes_in_circles = self._may_be_stopped and len({*own}) < len(own)
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
    """The request for the next round. A call that was demanded has been made by now.

    What only repeated itself is not in the prompt: the model would repeat it again.
    """
    prompt = _chat_prompt(request)
    calls = tuple(outcome.call for outcome in outcomes)
    said: tuple[Message, ...] = ()
    if outcomes:
        asked = Message("assistant", turn.text, tool_calls=calls, reasoning=turn.reasoning)
        said = (asked, *_results(outcomes))
    choice, most = request.tool_choice, request.max_tokens
    return replace(
        request,
        prompt=replace(prompt, messages=(*prompt.messages, *said)),
        tool_choice=None if choice is None else replace(choice, mode="auto"),
        is_prose=True,
        max_tokens=None if most is None else most - turn.finished.usage.completion_tokens,
    )


def _results(outcomes: Sequence[FunctionExecuted]) -> tuple[Message, ...]:
    return tuple(
        Message("tool", one.result, name=one.call.name, tool_call_id=one.call.id)
        for one in outcomes
    )


def _meaning(call: ToolCall) -> tuple[str, str]:
    """What makes two calls equal: the function, and the arguments as JSON values."""
    return call.name, json_meaning(call.arguments.strip() or "{}")


def _without_tools(request: GenerationRequest) -> GenerationRequest:
    prompt = replace(_chat_prompt(request), tools=())
    return replace(request, prompt=prompt, tool_choice=None)


def _chat_prompt(request: GenerationRequest) -> ChatPrompt:
    if not isinstance(request.prompt, ChatPrompt):
        raise TypeError("functions are for conversations")
    return request.prompt
