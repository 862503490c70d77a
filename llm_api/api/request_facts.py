"""What is known of one request once it is answered. Derived from the events that answer it.

The middleware puts one `RequestFacts` into the request's state; routes and events fill it in;
`ReportingMiddleware` reads it when the answer has ended.
"""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, assert_never, cast

from starlette.types import Scope

from llm_api.api.ignored import IgnoredParameters
from llm_api.core.embeddings.embedder import EmbedderCard, EmbeddingInput, EmbeddingRequest
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.collect import Choice, total_usage
from llm_api.core.llm.progress import Journey
from llm_api.core.llm.types import (
    Annotation,
    ChatPrompt,
    Event,
    Finished,
    FinishReason,
    FunctionExecuted,
    GenerationRequest,
    Prompt,
    ReasoningDelta,
    Started,
    TextDelta,
    Timings,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

Content: TypeAlias = Prompt | EmbeddingInput
Operation: TypeAlias = Literal["chat", "text_completion", "embeddings", "rerank"]
"""What a model was asked to do, in the words of OpenTelemetry's `gen_ai.operation.name`.

It has none for `rerank`."""


@dataclass(slots=True)
class RequestFacts:
    """None where it does not apply, or is not known (yet).

    `began` is a reading of `time.perf_counter`, from which all seconds count. `endpoint` is the
    route's template. `error` is the code of the error that was answered, in mid-stream as well.
    `fallback` names the model that took over. `token_gaps` are the seconds between two deltas of a
    choice, if it is streamed, as they are handed on: a client that reads slowly makes them longer.
    `ignored` are the parameters that changed nothing; `unknown_model` is the name that was asked
    for where the default model serves any.
    `journeys` are those of its answers.
    `prompts` and `answers` stay empty unless `keeps_content`. `report` hands the facts on, once the
    answer has ended; work that goes on after the answer takes the facts over and calls it then.
    """

    id: str
    method: str
    received: datetime
    began: float
    keeps_content: bool
    endpoint: str | None = None
    operation: Operation | None = None
    is_streamed: bool = False
    key_name: str | None = None
    model: str | None = None
    backend: str | None = None
    fallback: str | None = None
    status: int | None = None
    error: str | None = None
    unknown_model: str | None = None
    ignored: IgnoredParameters = field(default_factory=IgnoredParameters)
    usage: Usage | None = None
    journeys: Sequence[Journey] = ()
    queue_seconds: float | None = None
    first_token_seconds: float | None = None
    token_gaps: list[float] = field(default_factory=list)
    total_seconds: float | None = None
    prompts: Sequence[Content] = ()
    answers: Sequence[Choice] = ()
    report: Callable[[], None] = lambda: None
    is_handed_over: bool = False
    _choices: int = 0
    _choices_per_prompt: int = 1
    _finished: dict[int, Finished] = field(default_factory=dict)
    _last_delta: dict[int, float] = field(default_factory=dict)

    def seconds(self) -> float:
        """How long ago the request began."""
        return time.perf_counter() - self.began

    @property
    def finish_reasons(self) -> tuple[FinishReason, ...]:
        """Why the choices that have ended did, in their order."""
        return tuple(self._finished[choice].reason for choice in sorted(self._finished))

    @property
    def timings(self) -> Timings | None:
        """Those of the first answer that has ended."""
        return next((one.timings for one in self._finished.values()), None)

    def expect(
        self,
        card: ModelCard,
        requests: Sequence[GenerationRequest],
        choices_per_prompt: int,
        *,
        is_streamed: bool,
    ) -> None:
        """Note that this model is going to answer these requests."""
        self.model, self.backend = card.id, card.backend
        self.operation = "chat" if isinstance(requests[0].prompt, ChatPrompt) else "text_completion"
        self.is_streamed = is_streamed
        self._choices, self._choices_per_prompt = len(requests), choices_per_prompt
        self.journeys = [one.journey for one in requests]
        if self.keeps_content:
            self.prompts = [one.prompt for one in requests[::choices_per_prompt]]
            self.answers = [Choice() for _ in requests]

    def rerank(self, card: EmbedderCard, query: str, texts: Sequence[str]) -> None:
        """Note that this model is going to judge these texts."""
        self.model, self.operation = card.id, "rerank"
        if self.keeps_content:
            self.prompts = [query, *texts]

    def embed(self, card: EmbedderCard, request: EmbeddingRequest) -> None:
        """Note that this model is going to embed these inputs."""
        self.model, self.operation = card.id, "embeddings"
        if self.keeps_content:
            self.prompts = request.inputs

    async def watch(
        self, events: AsyncGenerator[ChoiceEvent, None]
    ) -> AsyncGenerator[ChoiceEvent, None]:
        """The same events, each noted on its way. Closing this closes `events`."""
        async with aclosing(events):
            async for choice_event in events:
                self._note(choice_event.index, choice_event.event)
                yield choice_event

    def _note(self, index: int, event: Event) -> None:
        match event:
            case Started(served_by=served_by, ignored=ignored):
                self.ignored.note(ignored)
                if served_by is not None:
                    self.backend, self.fallback = served_by.backend, served_by.fallback
            case Finished():
                self._finish(index, event)
            case TextDelta() | ReasoningDelta() | ToolCallStarted() | ToolCallDelta():
                self._note_delta(index)
            case FunctionExecuted():
                self._last_delta.pop(index, None)  # the model was not at work meanwhile
            case Annotation():
                pass
            case other:
                assert_never(other)
        if self.keeps_content:
            self.answers[index].take(event)

    def _note_delta(self, index: int) -> None:
        now = self.seconds()
        if self.first_token_seconds is None:
            self.first_token_seconds = now
        elif self.is_streamed and index in self._last_delta:
            self.token_gaps.append(now - self._last_delta[index])
        self._last_delta[index] = now

    def _finish(self, index: int, finished: Finished) -> None:
        self._finished[index] = finished
        self.queue_seconds = max(self.queue_seconds or 0.0, finished.timings.queue_seconds)
        if len(self._finished) == self._choices:
            in_order = [self._finished[choice] for choice in range(self._choices)]
            self.usage = total_usage(in_order, self._choices_per_prompt)


def facts_of(scope: Scope) -> RequestFacts:
    """The facts of the request with this scope."""
    return cast(RequestFacts, scope["state"]["facts"])
