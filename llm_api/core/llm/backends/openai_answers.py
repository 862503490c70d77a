"""A stream of OpenAI's chunks as our events, however a server speaks the protocol. Pure.

Raises AttributeError, LookupError, TypeError or ValueError for anything else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json

from llm_api.core.errors import UpstreamError
from llm_api.core.llm.backends.told_progress import ToldProgress
from llm_api.core.llm.backends.upstream_backend import text_of
from llm_api.core.llm.types import (
    AnswerDelta,
    Finished,
    FinishReason,
    ReasoningDelta,
    SampledLogprob,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.upstream import UpstreamServer, failure_in_stream

_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


@dataclass(slots=True)
class CallNumbers:
    """Which call a fragment belongs to, however a server numbers its calls. Counts from 0.

    OpenAI sends `index` with every fragment, and `id` and `name` once. Others do otherwise:

    1. `id` and `name` come again with every fragment of the same index.
    2. All calls have index 0, each its own `id` and `name`.
    3. There is no index: fragments without an `id` go on with the last call.
    4. There is neither index nor `id`: every fragment with a name is a whole call.
    5. There is no `id` where a call begins: it gets one here.
    6. A call without arguments has no fragment of them: they are `{}`.
    """

    new_id: Callable[[], str]
    _ids: list[str] = field(default_factory=list)
    _by_index: dict[int, int] = field(default_factory=dict)
    _has_arguments: set[int] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many calls have begun."""
        return len(self._ids)

    def take(self, fragment: dict[str, Any]) -> Iterator[ToolCallStarted | ToolCallDelta]:
        """What one element of `tool_calls` adds. Raises ValueError for a call without a name."""
        function = fragment.get("function") or {}
        index, id_, name = fragment.get("index"), fragment.get("id"), function.get("name")
        number = self._going_on(index, id_, name)
        if number is None:
            if not name:
                raise ValueError("a call without a name")
            number = self.count
            self._ids.append(id_ or self.new_id())
            yield ToolCallStarted(number, self._ids[number], name)
        if index is not None:
            self._by_index[index] = number
        if arguments := function.get("arguments"):
            self._has_arguments.add(number)
            yield ToolCallDelta(number, arguments)

    def end(self) -> Iterator[ToolCallDelta]:
        """The arguments of the calls that came without any."""
        for number in range(self.count):
            if number not in self._has_arguments:
                yield ToolCallDelta(number, "{}")

    def _going_on(self, index: int | None, id_: str | None, name: str | None) -> int | None:
        """The call that is continued; None where one begins."""
        if index is not None:
            number = self._by_index.get(index)
            is_another = number is not None and id_ and name and id_ != self._ids[number]
            return None if is_another else number
        if id_:
            return self._ids.index(id_) if id_ in self._ids else None
        return self.count - 1 if self._ids and not name else None


@dataclass(slots=True)
class AnswerReader:
    """Reads one answer, chunk by chunk. Candidates beyond `top_logprobs` are dropped.

    With `must_call` an answer that ends by itself without a call is a failure. `told` takes in how
    far the prompt is read, where the server says that.
    """

    server: UpstreamServer
    top_logprobs: int
    new_id: Callable[[], str]
    must_call: bool = False
    told: ToldProgress | None = None
    usage: Usage | None = None
    """None until the server reports it: at the end, or never."""
    _reason: str | None = None
    _is_refused: bool = False
    _calls: CallNumbers = field(init=False)

    def __post_init__(self) -> None:
        self._calls = CallNumbers(self.new_id)

    def read(self, data: str) -> list[AnswerDelta]:
        """What one chunk adds. Raises the error that it says in place of an answer."""
        chunk: dict[str, Any] = from_json(data)
        if chunk.get("error"):
            raise failure_in_stream(self.server, chunk)
        if self.told is not None and "prompt_progress" in chunk:
            self.told.take(chunk["prompt_progress"])
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"])
        # The chunk with the usage has no choices; one choice is all that was asked for.
        return [delta for choice in chunk["choices"][:1] for delta in self._choice(choice)]

    def end(self) -> list[AnswerDelta]:
        """What is still to be said before `finished`: the arguments of calls that have none."""
        return list(self._calls.end())

    def finished(self) -> Finished:
        """The end. Usage that was not reported is 0: a guess would pass for a count.

        There are calls if and only if the reason is "tool_calls", or "length" where they were cut.
        Raises UpstreamError if the answer was cut, given up, or is not the call that was demanded.
        """
        if self._reason is None:
            raise UpstreamError(
                f"{self.server} ended its answer before it was complete; try again."
            )
        if self._reason not in _REASONS:
            raise UpstreamError(f"{self.server} gave up its answer: {self._reason[:50]}.")
        reason = _REASONS[self._reason]
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls.count else "stop"
        if self._is_refused:
            reason = "content_filter"
        if self.must_call and reason == "stop":
            raise UpstreamError(f"{self.server} made no call, although one was required.")
        return Finished(reason, self.usage or Usage(0, 0))

    def _choice(self, choice: dict[str, Any]) -> Iterator[AnswerDelta]:
        self._reason = choice.get("finish_reason") or self._reason
        said = choice.get("logprobs")
        sampled = self._logprobs(said) if said else ()
        if "text" in choice:
            yield from _text(choice["text"], sampled)
            return
        delta = choice.get("delta") or {}
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            yield ReasoningDelta(text_of(thought))
        if refusal := delta.get("refusal"):
            self._is_refused = True
            yield TextDelta(text_of(refusal))
        yield from _text(delta.get("content"), sampled)
        for fragment in delta.get("tool_calls") or []:
            yield from self._calls.take(fragment)

    def _logprobs(self, said: dict[str, Any]) -> tuple[SampledLogprob, ...]:
        """In the form of chat, or in that of the older endpoint."""
        if "tokens" in said:
            tops = said.get("top_logprobs") or [None] * len(said["tokens"])
            return tuple(
                self._sampled(
                    _candidate(token, logprob),
                    [_candidate(*other) for other in (top or {}).items()],
                )
                for token, logprob, top in zip(
                    said["tokens"], said["token_logprobs"], tops, strict=True
                )
            )
        return tuple(
            self._sampled(
                _candidate(one["token"], one["logprob"], one.get("bytes")),
                [
                    _candidate(other["token"], other["logprob"], other.get("bytes"))
                    for other in one.get("top_logprobs") or []
                ],
            )
            for one in said.get("content") or []
        )

    def _sampled(self, chosen: TokenLogprob, others: list[TokenLogprob]) -> SampledLogprob:
        ranked = sorted(others, key=lambda other: other.logprob, reverse=True)
        return SampledLogprob(chosen, tuple(ranked[: self.top_logprobs]))


def _text(content: object, sampled: tuple[SampledLogprob, ...]) -> Iterator[TextDelta]:
    text = text_of(content or "")
    if text or sampled:
        yield TextDelta(text, sampled)


def _candidate(token: str, logprob: float, data: Sequence[int] | None = None) -> TokenLogprob:
    return TokenLogprob(token.encode() if data is None else bytes(data), float(logprob))


def _usage(said: dict[str, Any]) -> Usage:
    return Usage(
        int(said["prompt_tokens"]),
        int(said.get("completion_tokens") or 0),
        int((said.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
        int((said.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0),
    )
