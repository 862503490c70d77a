"""What a case is: a claim, and how it is tried on a running server."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.process import Server

MODEL = "small"
"""The default model, in the process."""
ECHO = "echo"
"""The backend `stub`, where the model does not matter."""
PARALLEL = 4
MAX_QUEUE = 16


class SkippedError(Exception):
    """The case cannot be tried here. `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """The server under stress. Documents and the request log lie in `disk`, a small one if it can.

    `late_models` are files of models that the server has looked at, and not loaded.
    """

    server: Server
    disk: Path
    has_small_disk: bool
    late_models: Path

    @property
    def port(self) -> int:
        return self.server.port


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened, in a few words, and whether that is what was claimed."""

    happened: str
    is_as_claimed: bool


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    claim: str
    run: Callable[[Target], Awaitable[Outcome]]
    seconds: float = 120.0
    """How long it may take before it has failed."""
