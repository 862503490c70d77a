"""From generation requests to an HTTP answer, whole or streamed, out of one stream of events."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeAlias, assert_never
from uuid import uuid4

from fastapi import Request, Response

from llm_api.api.deps import services_of
from llm_api.api.disconnect import until_disconnect
from llm_api.api.errors import INTERNAL_FAILURE, Failure, describe
from llm_api.api.mapping.generation import AnswerHead, fingerprint
from llm_api.api.models.base import AnswerModel
from llm_api.api.origin import AnswerOrigin, origin, unenforced
from llm_api.api.progress_frames import Telling, progress_note, with_progress
from llm_api.api.request_facts import facts_of
from llm_api.api.stream_forms import SSE, StreamForm, TextFrames
from llm_api.core.errors import LLMAPIError
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.choices import ChoiceEvent, fan_out
from llm_api.core.llm.collect import Completion, collect, cut_short, total_usage
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.prompt.volatile import settled
from llm_api.core.llm.types import (
    Addition,
    Annotation,
    ChatPrompt,
    Finished,
    FunctionExecuted,
    GenerationRequest,
    ReasoningDelta,
    RequestContext,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

logger = logging.getLogger(__name__)


class AnswerWriter(Protocol):
    """The wire form of one answer: the only thing in which the resources differ.

    `has_steady_text`: whether deltas of text without log-probabilities differ in the text alone.
    """

    @property
    def has_steady_text(self) -> bool: ...
    def whole(self, completions: Sequence[Completion]) -> AnswerModel: ...
    def opening(self, index: int) -> AnswerModel | None: ...
    def progress(self, progress: Progress) -> AnswerModel | None: ...
    def delta(self, index: int, delta: Addition) -> AnswerModel | None: ...
    def closing(self, index: int, finished: Finished) -> AnswerModel | None: ...
    def usage(self, usage: Usage) -> AnswerModel | None: ...


OpenWriter: TypeAlias = Callable[[str], AnswerWriter]
"""The writer of an answer that the model of this name gives."""


def new_head(prefix: str, model: str, version: str) -> AnswerHead:
    """The head of an answer that this model begins now, on a server of this version."""
    return AnswerHead(
        id=f"{prefix}-{uuid4().hex}",
        created=int(time.time()),
        model=model,
        system_fingerprint=fingerprint(version, model),
    )


@dataclass(frozen=True, slots=True)
class Generation:
    """What is to be generated, by whom, and how. `requests` holds `choices_per_prompt` per prompt.

    `backend` is that of the caller, and works in this `context`. A stream tells how far the
    prompt is read where there is a `telling`.
    """

    context: RequestContext
    backend: Backend
    requests: Sequence[GenerationRequest]
    choices_per_prompt: int = 1
    telling: Telling | None = None

    def told(
        self, frames: AsyncGenerator[bytes, None], write: Callable[[Progress], bytes]
    ) -> AsyncGenerator[bytes, None]:
        """The frames of a stream, and those that tell how far it is."""
        if self.telling is None:
            return frames
        journeys = [one.journey for one in self.requests]
        return with_progress(frames, journeys, self.telling, write)


async def answer(
    request: Request, generation: Generation, open_writer: OpenWriter, form: StreamForm = SSE
) -> Response:
    """The HTTP answer; its headers and its `model` say who gave it. A stream has this `form`.

    Aborts the generation when the client disconnects. Raises what the backend refuses, before the
    first header of a stream.
    """
    if not generation.context.is_whole:
        return await _streamed(request, generation, open_writer, form)
    completions = await whole(request, generation)
    by = origin(generation.backend.card, (one.served_by for one in completions))
    broken = unenforced(name for one in completions for name in one.finished.unenforced)
    body = open_writer(by.model).whole(completions).to_json()
    return Response(body, headers={**by.headers, **broken}, media_type="application/json")


async def whole(request: Request, generation: Generation) -> list[Completion]:
    """Every answer in full. Aborts when the client disconnects; raises as `answer`."""
    return await until_disconnect(request, _collected(request, generation))


async def _collected(request: Request, generation: Generation) -> list[Completion]:
    async with aclosing(noted_events(request, generation)) as events:
        return await collect(events, len(generation.requests))


def noted_events(request: Request, generation: Generation) -> AsyncGenerator[ChoiceEvent, None]:
    """The events of all answers, which the facts of the request take note of.

    Here, for every door, volatile lines go behind the prefix that is kept.
    """
    facts = facts_of(request.scope)
    requests = [_settled(one, request) for one in generation.requests]
    facts.expect(
        generation.backend.card,
        requests,
        generation.choices_per_prompt,
        is_streamed=not generation.context.is_whole,
    )
    return facts.watch(fan_out(generation.backend, requests))


def _settled(asked: GenerationRequest, request: Request) -> GenerationRequest:
    kinds = services_of(request.app).volatile_lines
    if not kinds or not isinstance(asked.prompt, ChatPrompt):
        return asked
    done = settled(asked.prompt, kinds)
    if not done.found:
        return asked
    logger.debug("volatile lines of the system prompt were moved: %s", ", ".join(done.found))
    return replace(asked, prompt=done.prompt)


async def _streamed(
    request: Request, generation: Generation, open_writer: OpenWriter, form: StreamForm
) -> Response:
    early, events, by = await started(request, generation)
    stream = StreamedAnswer(generation, open_writer(by.model), form)
    frames = generation.told(_frames(early, events, stream, request), stream.progress_frame)
    response = form.response(frames, events, request.app.state.ping_seconds, by.headers)
    if generation.telling is None:
        response.note = partial(progress_note, [one.journey for one in generation.requests])
    return response


async def started(
    request: Request, generation: Generation
) -> tuple[list[ChoiceEvent], AsyncGenerator[ChoiceEvent, None], AnswerOrigin]:
    """The events up to the last `Started`, those still to come, and whose they are.

    Raises as `answer`.
    """
    events = noted_events(request, generation)
    try:
        early = await until_disconnect(request, _all_started(events, len(generation.requests)))
    except BaseException:
        await events.aclose()
        raise
    starts = [one.event for one in early if isinstance(one.event, Started)]
    by = origin(generation.backend.card, (start.served_by for start in starts))
    may_break = unenforced(name for start in starts for name in start.unenforced)
    return early, events, replace(by, headers={**by.headers, **may_break})


async def _all_started(events: AsyncIterator[ChoiceEvent], choices: int) -> list[ChoiceEvent]:
    """Every event up to the last `Started`. Raises what the backend refuses."""
    early: list[ChoiceEvent] = []
    waiting = choices
    async for choice_event in events:
        early.append(choice_event)
        waiting -= isinstance(choice_event.event, Started)
        if not waiting:
            break
    return early


async def _frames(
    early: Sequence[ChoiceEvent],
    events: AsyncIterator[ChoiceEvent],
    stream: "StreamedAnswer",
    request: Request,
) -> AsyncGenerator[bytes, None]:
    """The frames of the whole stream; an error in it is its last frame."""
    try:
        yield b"".join(map(stream.frames, early))
        async for choice_event in events:
            if frames := stream.frames(choice_event):
                yield frames
        yield stream.ending()
    except Exception as error:  # noqa: BLE001 - the border: the client must not take the cut for the end
        yield stream.form.error(failure_in_mid_stream(request, error))


def failure_in_mid_stream(request: Request, error: Exception) -> Failure:
    """What a client is told of an answer that broke off. Notes it, and logs what is a bug."""
    if isinstance(error, LLMAPIError):
        failure = describe(error)
    else:
        failure = INTERNAL_FAILURE
        logger.error("a stream failed", exc_info=error)
    facts_of(request.scope).error = failure.code
    return failure


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """Turns events into frames, and remembers which choices have finished."""

    generation: Generation
    writer: AnswerWriter
    form: StreamForm
    finished: dict[int, Finished] = field(default_factory=dict)
    _texts: dict[int, TextFrames] = field(default_factory=dict)

    def frames(self, choice_event: ChoiceEvent) -> bytes:
        """The frame of this event, or nothing. Mutates `finished`."""
        index = choice_event.index
        chunk: AnswerModel | None
        match choice_event.event:
            case Started():
                chunk = self.writer.opening(index)
            case TextDelta(text, ()) if self.writer.has_steady_text:
                return self._text_frame(index, text) if text else b""
            case TextDelta(text, logprobs) as delta:
                chunk = self.writer.delta(index, delta) if text or logprobs else None
            case (
                ReasoningDelta()
                | ToolCallStarted()
                | ToolCallDelta()
                | FunctionExecuted()
                | Annotation() as delta
            ):
                chunk = self.writer.delta(index, delta)
            case Finished() as finished:
                self.finished[index] = finished
                chunk = self.writer.closing(index, finished)
            case other:
                assert_never(other)
        return b"" if chunk is None else self.form.frame(chunk)

    def progress_frame(self, progress: Progress) -> bytes:
        """The frame that tells how far the prompt is read, or nothing."""
        chunk = self.writer.progress(progress)
        return b"" if chunk is None else self.form.frame(chunk)

    def _text_frame(self, index: int, text: str) -> bytes:
        if index not in self._texts:
            self._texts[index] = TextFrames(partial(self._made, index))
        return self._texts[index].with_text(text)

    def _made(self, index: int, text: str) -> bytes:
        chunk = self.writer.delta(index, TextDelta(text))
        return b"" if chunk is None else self.form.frame(chunk)

    def ending(self) -> bytes:
        """The frames after the last choice. Raises GenerationError if one has not finished."""
        choices = len(self.generation.requests)
        if len(self.finished) < choices:
            raise cut_short()
        in_order = [self.finished[index] for index in range(choices)]
        usage = self.writer.usage(total_usage(in_order, self.generation.choices_per_prompt))
        return (b"" if usage is None else self.form.frame(usage)) + self.form.ending
