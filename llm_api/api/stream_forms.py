"""The forms in which a stream is written: server-sent events, or lines of JSON (NDJSON)."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from llm_api.api.errors import Failure, presentable
from llm_api.api.models.base import AnswerModel
from llm_api.api.sse import DONE_FRAME, EventStream, error_frame, frame


@dataclass(frozen=True, slots=True)
class StreamForm:
    """How one stream is written. Ends in `ending`, or in an `error` and nothing after it."""

    frame: Callable[[AnswerModel], bytes]
    error: Callable[[Failure], bytes]
    ending: bytes
    response: type[EventStream]


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
    return to_json({"error": presentable(failure.message)}) + b"\n"


SSE: Final = StreamForm(frame, error_frame, DONE_FRAME, EventStream)
NDJSON: Final = StreamForm(line, error_line, b"", LineStream)


def form_of(content_type: str) -> StreamForm | None:
    """The form of an answer of this content type; None where it is no stream of either. Pure."""
    media_type = content_type.partition(";")[0]
    return next((form for form in (SSE, NDJSON) if form.response.media_type == media_type), None)
