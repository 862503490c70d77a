"""Parameters that are accepted and change nothing: which these are, and the header that names them.

A parameter that cannot change what an answer means is borne, so that no client fails by it; but
nothing is ignored in silence. What could change the meaning is honoured or refused elsewhere.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

IGNORED_HEADER: Final = "x-ignored-parameters"
UNKNOWN_MODEL_HEADER: Final = "x-llm-api-unknown-model"
MAX_NAMES: Final = 32
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Foreign:
    """A parameter of other servers that is ignored here, and `why` it changes nothing.

    `idle` are values by which it asks for nothing beyond what is done anyway; null is one always.
    If it `is_binding`, any other value would change the answer, and is refused.
    """

    why: str
    idle: tuple[object, ...] = ()
    is_binding: bool = False

    @property
    def told(self) -> str:
        """What becomes of it, for people."""
        if not self.is_binding:
            return f"Ignored: {self.why}."
        return f"Only {' or '.join(map(json.dumps, self.idle))}: {self.why}."

    def asks(self, value: object) -> bool:
        """Whether there is something to ignore. Distinguishes `false` from 0."""
        is_idle = any(type(value) is type(one) and value == one for one in self.idle)
        return value is not None and not is_idle


@dataclass(slots=True)
class IgnoredParameters:
    """What is ignored of one request, by name; `hidden` counts the names beyond MAX_NAMES."""

    _names: dict[str, None] = field(default_factory=dict)
    hidden: int = 0

    def note(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._names:
                continue
            if len(self._names) < MAX_NAMES:
                self._names[name] = None
            else:
                self.hidden += 1

    def __bool__(self) -> bool:
        return bool(self._names)

    def __str__(self) -> str:
        """The names as a header may carry them: bounded, and without a client's own controls."""
        shown = [shown_name(name) for name in self._names]
        return ", ".join([*shown, f"... ({self.hidden} more)"] if self.hidden else shown)


def shown_name(name: str) -> str:
    """A client's own word as a header may carry it. Pure."""
    return quote(name[:_LONGEST_NAME], safe="._-[]/:@")


@dataclass(frozen=True, slots=True)
class Bearing:
    """How the body that is being read is borne; with `takes_unknown`, unknown fields are too."""

    ignored: IgnoredParameters
    takes_unknown: bool = False


_bearing: Final[ContextVar[Bearing | None]] = ContextVar("bearing", default=None)


def current_bearing() -> Bearing | None:
    """That of the request which this task works on; None where nothing reads a request."""
    return _bearing.get()


@contextmanager
def bearing(of_request: Bearing) -> Iterator[None]:
    """Request models that are validated in this block note what they ignore."""
    token = _bearing.set(of_request)
    try:
        yield
    finally:
        _bearing.reset(token)
