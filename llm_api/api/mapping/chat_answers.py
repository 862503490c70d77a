"""Chat, domain to wire: the whole answer, and the chunks of a streamed one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from llm_api.api.mapping.generation import (
    AnswerHead,
    token_text,
    wire_logprob,
    wire_progress,
    wire_usage,
)
from llm_api.api.mapping.rag.annotations import AnnotationWriter, add_to_message
from llm_api.api.models.chat import (
    AnswerMessage,
    ChatChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChoiceLogprobs,
    ChunkChoice,
    Delta,
    ServerToolCall,
    TokenLogprob,
    TopLogprob,
    WireFinishReason,
)
from llm_api.api.models.tools import FunctionCall, FunctionCallDelta, ToolCall, ToolCallDelta
from llm_api.core.llm.collect import Completion, total_usage
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import (
    Addition,
    Annotation,
    AnswerDelta,
    Finished,
    FunctionExecuted,
    ReasoningDelta,
    SampledLogprob,
    TextDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.llm.types import ToolCall as MadeCall
from llm_api.core.llm.types import ToolCallDelta as MadeCallDelta


@dataclass(frozen=True, slots=True)
class ChatAnswerWriter:
    """Writes the answer to one chat request."""

    head: AnswerHead
    request: ChatCompletionRequest
    _notes: dict[int, AnnotationWriter] = field(default_factory=dict)

    def whole(self, completions: Sequence[Completion]) -> ChatCompletion:
        """The answer that is not streamed."""
        answer = ChatCompletion(
            id=self.head.id,
            object="chat.completion",
            created=self.head.created,
            model=self.head.model,
            choices=[self._choice(index, item) for index, item in enumerate(completions)],
            usage=wire_usage(
                total_usage([item.finished for item in completions], len(completions))
            ),
            system_fingerprint=self.head.system_fingerprint,
        )
        if self.request.service_tier is not None:
            answer.service_tier = "default"
        return answer

    @property
    def has_steady_text(self) -> bool:
        """Log-probabilities were not asked for."""
        return not self.request.logprobs

    def opening(self, index: int) -> ChatCompletionChunk:
        """The first chunk of a choice: who speaks."""
        return self._chunk([self._chunk_choice(index, Delta(role="assistant", content=""))])

    def progress(self, progress: Progress) -> ChatCompletionChunk:
        """A chunk that adds nothing. Of several choices it stands for the one that is behind."""
        chunk = self._chunk([self._chunk_choice(0, Delta())])
        chunk.prompt_progress = wire_progress(progress)
        return chunk

    def delta(self, index: int, delta: Addition) -> ChatCompletionChunk:
        """More of a choice: text, reasoning, calls, or what retrieval says of it."""
        if isinstance(delta, Annotation):
            return self._chunk([self._chunk_choice(index, self._noted(index, delta.value))])
        choice = self._chunk_choice(index, self._delta(delta))
        if isinstance(delta, TextDelta):
            choice.logprobs = self._logprobs(delta.logprobs)
        return self._chunk([choice])

    def closing(self, index: int, finished: Finished) -> ChatCompletionChunk:
        """The last chunk of a choice: why it ended."""
        choice = self._chunk_choice(index, Delta())
        choice.finish_reason = self._reason(finished)
        return self._chunk([choice])

    def usage(self, usage: Usage) -> ChatCompletionChunk | None:
        """The last chunk of all, if it was asked for."""
        if not self.request.includes_usage:
            return None
        chunk = self._chunk([])
        chunk.usage = wire_usage(usage)
        return chunk

    def _choice(self, index: int, completion: Completion) -> ChatChoice:
        return ChatChoice(
            index=index,
            message=self._message(index, completion),
            logprobs=self._logprobs(completion.logprobs),
            finish_reason=self._reason(completion.finished),
        )

    def _message(self, index: int, completion: Completion) -> AnswerMessage:
        calls = completion.tool_calls
        content = completion.text if completion.text or not calls else None
        message = AnswerMessage(role="assistant", content=content, refusal=None)
        if completion.reasoning:
            message.reasoning_content = completion.reasoning
        if calls and self._is_legacy:
            message.function_call = _function(calls[0])
        elif calls:
            message.tool_calls = [
                ToolCall(id=call.id, type="function", function=_function(call)) for call in calls
            ]
        if completion.executed:
            message.server_tool_calls = [_server_call(one) for one in completion.executed]
        for note in completion.annotations:
            add_to_message(message, self._noted(index, note))
        return message

    def _noted(self, index: int, note: object) -> Delta:
        """What a note of retrieval adds to a choice's message."""
        return self._notes.setdefault(index, AnnotationWriter()).delta(note)

    def _delta(self, delta: AnswerDelta | FunctionExecuted) -> Delta:
        match delta:
            case TextDelta(text):
                return Delta(content=text)
            case ReasoningDelta(text):
                return Delta(reasoning_content=text)
            case FunctionExecuted():
                return Delta(server_tool_calls=[_server_call(delta)])
            case ToolCallStarted(index, id, name):
                function = FunctionCallDelta(name=name, arguments="")
                call = ToolCallDelta(index=index, id=id, type="function", function=function)
            case MadeCallDelta(index, arguments):
                function = FunctionCallDelta(arguments=arguments)
                call = ToolCallDelta(index=index, function=function)
            case other:
                assert_never(other)
        return Delta(function_call=function) if self._is_legacy else Delta(tool_calls=[call])

    def _reason(self, finished: Finished) -> WireFinishReason:
        is_call = finished.reason == "tool_calls"
        return "function_call" if is_call and self._is_legacy else finished.reason

    @property
    def _is_legacy(self) -> bool:
        """Whether calls are answered in the older form: it was asked in it."""
        return self.request.functions is not None

    def _chunk(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        chunk = ChatCompletionChunk(
            id=self.head.id,
            object="chat.completion.chunk",
            created=self.head.created,
            model=self.head.model,
            choices=choices,
            system_fingerprint=self.head.system_fingerprint,
        )
        # Assignment marks a field as set, and only set fields are sent: `usage: null` belongs on
        # every chunk if usage was asked for, and on none otherwise.
        if self.request.service_tier is not None:
            chunk.service_tier = "default"
        if self.request.includes_usage:
            chunk.usage = None
        return chunk

    @staticmethod
    def _chunk_choice(index: int, delta: Delta) -> ChunkChoice:
        return ChunkChoice(index=index, delta=delta, logprobs=None, finish_reason=None)

    def _logprobs(self, sampled: Sequence[SampledLogprob]) -> ChoiceLogprobs | None:
        if not self.request.logprobs:
            return None
        return ChoiceLogprobs(content=[_token_logprob(item) for item in sampled], refusal=None)


def _server_call(executed: FunctionExecuted) -> ServerToolCall:
    return ServerToolCall(
        index=executed.index,
        id=executed.call.id,
        name=executed.call.name,
        arguments=executed.call.arguments,
        result=executed.result,
        is_error=executed.is_error,
        duration_seconds=round(executed.duration_seconds, 6),
    )


def _function(call: MadeCall) -> FunctionCall:
    return FunctionCall(name=call.name, arguments=call.arguments)


def _token_logprob(sampled: SampledLogprob) -> TokenLogprob:
    chosen = sampled.chosen
    return TokenLogprob(
        token=token_text(chosen.data),
        logprob=wire_logprob(chosen.logprob),
        bytes=list(chosen.data),
        top_logprobs=[
            TopLogprob(
                token=token_text(candidate.data),
                logprob=wire_logprob(candidate.logprob),
                bytes=list(candidate.data),
            )
            for candidate in sampled.top
        ],
    )
