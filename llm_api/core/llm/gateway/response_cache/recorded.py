"""An answer's events as lines of JSON, and the name that equal requests share. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any, Final

from llm_api.core.llm.progress import Journey
from llm_api.core.llm.types import (
    Event,
    Finished,
    GenerationRequest,
    ReasoningDelta,
    SampledLogprob,
    ServedBy,
    Started,
    TextDelta,
    Timings,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.utils.tokens import TokenMeter

MAX_ANSWER_BYTES: Final = 1024 * 1024
"""An answer that takes more, as a long one with log-probabilities may, is not kept."""

_KINDS: Final[Mapping[str, Callable[..., object]]] = {
    kind.__name__: kind
    for kind in (
        Started,
        ServedBy,
        TextDelta,
        SampledLogprob,
        TokenLogprob,
        ReasoningDelta,
        ToolCallStarted,
        ToolCallDelta,
        Finished,
        Usage,
        Timings,
    )
}


def key_of(request: GenerationRequest, model: str, version: str) -> str:
    """A hash of all that decides the answer, and of whom it is for (`scope`).

    Whether the answer is streamed does not count, nor who else could give it: that decides no word
    of it.
    """
    context = replace(request.context, is_whole=False, has_stand_in=False)
    asked = replace(request, context=context, meter=TokenMeter(), journey=Journey())
    return sha256(_json([version, model, asked]).encode()).hexdigest()


class Recorder:
    """Writes an answer down while it comes, in one piece of at most MAX_ANSWER_BYTES."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0

    def take(self, event: Event) -> None:
        """The next event. Of an answer that is too large nothing is held."""
        if self._bytes <= MAX_ANSWER_BYTES:
            line = _json(event).encode()
            self._bytes += len(line) + 1
            self._lines.append(line)
        if self._bytes > MAX_ANSWER_BYTES:
            self._lines.clear()

    @property
    def answer(self) -> bytes | None:
        """All of it; None where it is too large."""
        return b"\n".join(self._lines) if self._lines else None


def replayed(answer: bytes) -> Iterator[Event]:
    """The events of a recorded answer.

    Nothing was waited for or computed: so all of the prompt counts as cached, and the timings are
    zero.
    """
    for line in answer.splitlines():
        event: Event = json.loads(line, object_hook=_value)
        if isinstance(event, Finished):
            usage = replace(event.usage, cached_tokens=event.usage.prompt_tokens)
            event = Finished(event.reason, usage, stop_string=event.stop_string)
        yield event


def _json(value: object) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> object:
    """What `json` does not know by itself, in what it does."""
    if isinstance(value, bytes):
        return {"type": "bytes", "hex": value.hex()}
    if isinstance(value, frozenset):
        return sorted(value)
    return {"type": type(value).__name__} | {
        field.name: getattr(value, field.name) for field in fields(value)
    }


def _value(plain: Mapping[str, Any]) -> object:
    """The inverse for events, in which every list is a tuple."""
    if plain["type"] == "bytes":
        return bytes.fromhex(plain["hex"])
    named = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plain.items()
        if name != "type"
    }
    return _KINDS[plain["type"]](**named)
