"""What Ollama answers to chats and prompts, domain to wire. Pure, but for the clocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias, assert_never

from llm_api.api.mapping.generation import token_text, wire_logprob, wire_progress
from llm_api.api.models.ollama.answers import (
    AnswerTurn,
    CalledFunction,
    Candidate,
    ChatLine,
    GenerateLine,
    Line,
    Logprob,
    MadeCall,
)
from llm_api.core.llm.collect import Completion
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.prompt.turns import read_arguments
from llm_api.core.llm.types import (
    Addition,
    Annotation,
    Finished,
    FunctionExecuted,
    ReasoningDelta,
    SampledLogprob,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """What one line says: more of an answer, or all of it. `first_call` is the index of a call."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[ToolCall] = ()
    first_call: int = 0
    is_last: bool = False


OllamaForm: TypeAlias = Callable[[str, Said], Line]
"""A line of one of the two resources: the model's name, and what is said."""


def chat_line(model: str, said: Said) -> ChatLine:
    turn = AnswerTurn(role="assistant", content=said.text)
    if said.thinking:
        turn.thinking = said.thinking
    if said.calls:
        turn.tool_calls = [_call(*each) for each in enumerate(said.calls, said.first_call)]
    return ChatLine(model=model, created_at=timestamp(), message=turn, done=said.is_last)


def generate_line(model: str, said: Said) -> GenerateLine:
    line = GenerateLine(model=model, created_at=timestamp(), response=said.text, done=said.is_last)
    if said.thinking:
        line.thinking = said.thinking
    return line


def timestamp() -> str:
    """Now, as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class OllamaAnswerWriter:
    """Writes the answer to one request. `seconds` tells how long ago that began.

    A call is sent when it is whole: with what follows it, or before the last line.
    """

    model: str
    form: OllamaForm
    seconds: Callable[[], float]
    wants_logprobs: bool = False
    _call: ToolCallStarted | None = None
    _arguments: list[str] = field(default_factory=list)
    _finished: Finished | None = None

    def whole(self, completions: Sequence[Completion]) -> Line:
        """The answer that is not streamed."""
        [one] = completions
        said = Said(one.text, one.reasoning, one.tool_calls, is_last=True)
        return self._ended(self._line(said, one.logprobs), one.finished, one.finished.usage)

    @property
    def has_steady_text(self) -> bool:
        """Each line says when it was written."""
        return False

    def opening(self, index: int) -> None:
        """Nothing: the first line says something."""

    def progress(self, progress: Progress) -> Line:
        """A line that says nothing."""
        line = self.form(self.model, Said())
        line.prompt_progress = wire_progress(progress)
        return line

    def delta(self, index: int, delta: Addition) -> Line | None:
        """More of the answer; None while a call is not whole."""
        match delta:
            case TextDelta(text, logprobs):
                return self._line(self._said(text), logprobs)
            case ReasoningDelta(text):
                return self._line(self._said(thinking=text))
            case ToolCallStarted():
                line = self._open_call()
                self._call = delta
                return line
            case ToolCallDelta(arguments=arguments):
                self._arguments.append(arguments)
            case FunctionExecuted() | Annotation():
                pass
            case other:
                assert_never(other)
        return None

    def closing(self, index: int, finished: Finished) -> Line | None:
        """The last call, if one is open."""
        self._finished = finished
        return self._open_call()

    def usage(self, usage: Usage) -> Line | None:
        """The last line: why the answer ended, and its counts."""
        if self._finished is None:
            return None
        return self._ended(self._line(Said(is_last=True)), self._finished, usage)

    def _open_call(self) -> Line | None:
        return None if self._call is None else self._line(self._said())

    def _said(self, text: str = "", thinking: str = "") -> Said:
        """What is new, after the call that it shows to be whole. Mutates."""
        if self._call is None:
            return Said(text, thinking)
        call = ToolCall(self._call.id, self._call.name, "".join(self._arguments))
        said = Said(text, thinking, (call,), self._call.index)
        self._call, self._arguments = None, []
        return said

    def _line(self, said: Said, sampled: Sequence[SampledLogprob] = ()) -> Line:
        line = self.form(self.model, said)
        if self.wants_logprobs and sampled:
            line.logprobs = [_logprob(one) for one in sampled]
        return line

    def _ended(self, line: Line, finished: Finished, usage: Usage) -> Line:
        timings = finished.timings
        line.done_reason = "length" if finished.reason == "length" else "stop"
        line.total_duration = _nanoseconds(self.seconds())
        line.load_duration = _nanoseconds(timings.queue_seconds)
        line.prompt_eval_count = usage.prompt_tokens
        line.prompt_eval_duration = _nanoseconds(timings.prefill_seconds)
        line.eval_count = usage.completion_tokens
        line.eval_duration = _nanoseconds(timings.decode_seconds)
        return line


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)


def _call(index: int, call: ToolCall) -> MadeCall:
    arguments = read_arguments(call.arguments)
    function = CalledFunction(index=index, name=call.name, arguments=arguments)
    return MadeCall(id=call.id, function=function)


def _logprob(sampled: SampledLogprob) -> Logprob:
    chosen = _candidate(sampled.chosen)
    logprob = Logprob(token=chosen.token, logprob=chosen.logprob, bytes=chosen.bytes)
    if sampled.top:
        logprob.top_logprobs = [_candidate(one) for one in sampled.top]
    return logprob


def _candidate(one: TokenLogprob) -> Candidate:
    return Candidate(
        token=token_text(one.data), logprob=wire_logprob(one.logprob), bytes=list(one.data)
    )
