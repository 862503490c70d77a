"""How far another server says that it has read a prompt, as our own `Progress`.

Reads what llama-server calls `prompt_progress`, and what we add to that. No answer fails by it:
what has another form is passed over.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from llm_api.core.llm.progress import Journey, Progress

PARAMETER: Final = "return_progress"
"""What asks for it."""

_ELSEWHERE: Final = -1
"""The number of a sequence that no engine of ours has."""


class ToldProgress:
    """What was told of one request. Its journey follows it from the first word on."""

    def __init__(self, journey: Journey, most_tokens: int | None) -> None:
        self._journey = journey
        self._most_tokens = most_tokens
        self._told: Progress | None = None
        self._written = 0

    @property
    def has_begun(self) -> bool:
        """Whether anything was told."""
        return self._told is not None

    def take(self, said: object) -> None:
        """The next `prompt_progress`."""
        try:
            told = _read(said, self._most_tokens)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return
        if self._told is None:
            self._journey.follow(self._look)
        self._told = told

    def write(self, pieces: int) -> None:
        """Count pieces of the answer."""
        self._written += pieces

    def _look(self) -> Progress:
        if self._told is None:
            raise AssertionError("nobody looks before something was told")
        if not self._written:
            return self._told
        return replace(
            self._told,
            state="writing",
            read_tokens=self._told.prompt_tokens,
            written_tokens=self._written,
            place_in_queue=0,
            tokens_per_second=None,
            seconds_left=None,
        )


def _read(said: Any, most_tokens: int | None) -> Progress:
    total, cached, read = (int(_number(said, name)) for name in ("total", "cache", "processed"))
    if not cached <= read <= total:
        raise ValueError("more is read than there is")
    seconds = _number(said, "time_ms") / 1000
    place = int(_number(said, "place_in_queue", 0))
    speed = _known(said, "tokens_per_second")
    if speed is None and read > cached and seconds > 0:
        speed = (read - cached) / seconds
    left = _known(said, "seconds_left")
    if left is None and speed and not place:
        left = (total - read) / speed
    return Progress(
        _ELSEWHERE,
        "waiting" if place else "reading",
        prompt_tokens=total,
        cached_tokens=cached,
        read_tokens=read,
        written_tokens=0,
        most_tokens=most_tokens,
        place_in_queue=place,
        read_seconds=seconds,
        tokens_per_second=speed,
        seconds_left=left,
    )


def _known(said: Mapping[str, Any], name: str) -> float | None:
    return None if said.get(name) is None else _number(said, name)


def _number(said: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """Raises LookupError, TypeError, ValueError, OverflowError where it is none."""
    value = float(said[name] if default is None else said.get(name, default))
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} is no count")
    return value
