"""Functions for tests of whatever runs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from llm_api.core.functions.python_function import FunctionThreads, PythonFunction
from llm_api.core.functions.registry import declare
from llm_api.core.functions.types import FunctionSpec, Origin

ORIGIN = Origin("file", "tests.py")


def python_function(
    function: Callable[..., Any],
    threads: FunctionThreads | None = None,
    timeout_seconds: float | None = None,
) -> PythonFunction:
    """A function of a file, under the name f."""
    declaration = declare(function, "f", timeout_seconds)
    return PythonFunction(declaration, ORIGIN, threads or FunctionThreads())


@dataclass
class RemoteFunction:
    """One that runs elsewhere: it answers `text`, or raises what it is told to."""

    text: str = "{}"
    error: Exception | None = None
    spec: FunctionSpec = field(default_factory=lambda: FunctionSpec("remote", "Afar.", {}))
    origin: Origin = ORIGIN
    timeout_seconds: float | None = None
    called_with: list[Mapping[str, JsonValue]] = field(default_factory=list)

    async def call(self, arguments: Mapping[str, JsonValue]) -> str:
        self.called_with.append(arguments)
        if self.error is not None:
            raise self.error
        return self.text
