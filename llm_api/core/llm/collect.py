"""The fold: a non-streaming answer is what its stream adds up to. Defined here, once."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import assert_never

from llm_api.core.errors import GenerationError
from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.types import (
    Annotation,
    Event,
    Finished,
    FunctionExecuted,
    ReasoningDelta,
    SampledLogprob,
    ServedBy,
    Started,
    TextDelta,
    Timings,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)


@dataclass(slots=True)
class Choice:
    """One answer, growing while its events arrive."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCallStarted] = field(default_factory=list)
    arguments: list[list[str]] = field(default_factory=list)
    executed: list[FunctionExecuted] = field(default_factory=list)
    annotations: list[object] = field(default_factory=list)
    logprobs: list[SampledLogprob] = field(default_factory=list)
    served_by: ServedBy | None = None
    finished: Finished | None = None

    def take(self, event: Event) -> None:
        """Add an event of this answer. Mutates."""
        match event:
            case Started(served_by=by):
                self.served_by = by
            case TextDelta(text, logprobs):
                self.text.append(text)
                self.logprobs.extend(logprobs)
            case ReasoningDelta(text):
                self.reasoning.append(text)
            case ToolCallStarted() as call:
                self.calls.append(call)
                self.arguments.append([])
            case ToolCallDelta(index, arguments):
                self.arguments[index].append(arguments)
            case FunctionExecuted() as executed:
                self.executed.append(executed)
            case Annotation(value):
                self.annotations.append(value)
            case Finished() as finished:
                self.finished = finished
            case other:
                assert_never(other)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls, as far as they have come."""
        return tuple(
            ToolCall(call.id, call.name, "".join(arguments))
            for call, arguments in zip(self.calls, self.arguments, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer."""

    text: str
    logprobs: tuple[SampledLogprob, ...]
    finished: Finished
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    executed: tuple[FunctionExecuted, ...] = ()
    annotations: tuple[object, ...] = ()
    served_by: ServedBy | None = None


async def collect(events: AsyncIterator[ChoiceEvent], choices: int) -> list[Completion]:
    """Fold a stream of `choices` answers, in the order of their index.

    Raises GenerationError if the stream ends before every choice has finished.
    """
    folding = [Choice() for _ in range(choices)]
    async for choice_event in events:
        folding[choice_event.index].take(choice_event.event)
    return [_complete(choice) for choice in folding]


def _complete(choice: Choice) -> Completion:
    if choice.finished is None:
        raise cut_short()
    return Completion(
        "".join(choice.text),
        tuple(choice.logprobs),
        choice.finished,
        "".join(choice.reasoning),
        choice.tool_calls,
        tuple(choice.executed),
        tuple(choice.annotations),
        choice.served_by,
    )


def cut_short() -> GenerationError:
    """The error of a stream that ends before its answers are complete."""
    return GenerationError("The answer ended before it was complete; try again.")


def total_usage(finished: Iterable[Finished], choices_per_prompt: int = 1) -> Usage:
    """Usage of one HTTP request, from its choices in the order of their index. Pure.

    A prompt asked for several choices is counted once, with the tokens that its first choice
    found cached; what was generated is counted for each.
    """
    usages = [item.usage for item in finished]
    prompts = usages[::choices_per_prompt]
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in prompts),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in prompts),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
    )


def added(first: Finished, second: Finished) -> Finished:
    """Usage and timings of both, what neither held to; why it ended, the later one says."""
    one, other = first.usage, second.usage
    return Finished(
        second.reason,
        Usage(
            one.prompt_tokens + other.prompt_tokens,
            one.completion_tokens + other.completion_tokens,
            one.cached_tokens + other.cached_tokens,
            one.reasoning_tokens + other.reasoning_tokens,
        ),
        Timings(
            first.timings.queue_seconds + second.timings.queue_seconds,
            first.timings.prefill_seconds + second.timings.prefill_seconds,
            first.timings.decode_seconds + second.timings.decode_seconds,
        ),
        tuple(dict.fromkeys((*first.unenforced, *second.unenforced))),
        second.stop_string,
    )


def used_after(event: Event, used: int) -> int:
    """The tokens of an answer as far as its events tell. Pure."""
    match event:
        case Started(prompt_tokens):
            return prompt_tokens or 0
        case TextDelta() | ReasoningDelta() | ToolCallStarted() | ToolCallDelta():
            return used + 1
        case FunctionExecuted() | Annotation():
            return used
        case Finished(usage=usage):
            return usage.prompt_tokens + usage.completion_tokens
        case other:
            assert_never(other)
