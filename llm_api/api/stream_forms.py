"""The forms in which a stream is written: server-sent events, or lines of JSON (NDJSON)."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json
from sse_starlette import ServerSentEvent

from llm_api.api.doors import Door
from llm_api.api.errors import Failure, error_text
from llm_api.api.models.base import AnswerModel
from llm_api.api.sse import DONE_FRAME, EventStream, error_frame, frame, text_frame


@dataclass(frozen=True, slots=True)
class StreamForm:
    """How one stream is written. Ends in `ending`, or in an `error` and nothing after it."""

    frame: Callable[[AnswerModel], bytes]
    error: Callable[[Failure], bytes]
    ending: bytes
    response: type[EventStream]


class TextFrames:
    """Frames that differ in one text alone: made once, and filled in again and again.

    `make` gives the frame with a text; it is asked for one, which stands in no other place.
    """

    _MARK: Final = "\ufdd0 text \ufdd1"

    def __init__(self, make: Callable[[str], bytes]) -> None:
        self._before, self._behind = make(self._MARK).split(to_json(self._MARK))

    def with_text(self, text: str) -> bytes:
        """As `make` with this text."""
        return self._before + to_json(text) + self._behind


class LineStream(EventStream):
    """Sends lines until their end or the client's. Nothing stands between them: all is parsed."""

    media_type = "application/x-ndjson"

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        source: AsyncGenerator[Any, None],
        _ping_seconds: float = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(frames, source, 0, headers)


def line(model: AnswerModel) -> bytes:
    """One line."""
    return model.to_json().encode() + b"\n"


def error_line(failure: Failure) -> bytes:
    """The line that says the answer was cut short."""
    return error_text(failure, "ollama").encode() + b"\n"


class MessageStream(EventStream):
    """Sends Anthropic's events: every one has a name, that which keeps the connection open too."""

    def ping(self) -> ServerSentEvent:
        return ServerSentEvent(event="ping", data='{"type":"ping"}', sep="\n")


def message_error(failure: Failure) -> bytes:
    """The event that says the message was cut short."""
    return text_frame("error", error_text(failure, "anthropic"))


SSE: Final = StreamForm(frame, error_frame, DONE_FRAME, EventStream)
MESSAGE_EVENTS: Final = StreamForm(frame, message_error, b"", MessageStream)
NDJSON: Final = StreamForm(line, error_line, b"", LineStream)


def form_of(content_type: str, door: Door) -> StreamForm | None:
    """The form of an answer of this content type; None where it is no stream. Pure."""
    media_type = content_type.partition(";")[0]
    events = MESSAGE_EVENTS if door == "anthropic" else SSE
    return next((form for form in (events, NDJSON) if form.response.media_type == media_type), None)
