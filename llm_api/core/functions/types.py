"""The vocabulary of functions: what a model is told, where it comes from, what came back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from pydantic import JsonValue

from llm_api.core.errors import LLMAPIError

OriginKind: TypeAlias = Literal["built_in", "file", "package", "program", "mcp"]


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """What a model is told of a function. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who brought a function. `name`: a file's, a distribution's, a module's, an MCP server's."""

    kind: OriginKind
    name: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something that `origin` brought is not there, in one line without paths."""

    origin: Origin
    message: str

    def __str__(self) -> str:
        return f"{self.origin.name}: {self.message}"


class Function(Protocol):
    """One function, wherever it runs: in this process, or behind a protocol."""

    @property
    def spec(self) -> FunctionSpec: ...

    @property
    def origin(self) -> Origin: ...

    @property
    def timeout_seconds(self) -> float | None:
        """How long a call may take; None: as long as the runner allows by default."""
        ...

    async def call(self, arguments: Mapping[str, JsonValue]) -> str:
        """The result as JSON text. To cancel is to give up waiting.

        Raises InvalidArgumentsError before anything has run, FunctionsBusyError if nothing can
        run now, FunctionResultError for a result without JSON, and whatever the function raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What came back. `content` is JSON text for the model: the result, or `{"error": "..."}`.

    `error` is that of a call without a result: InvalidArgumentsError, FunctionsBusyError, or a
    FunctionError.
    """

    content: str
    duration_seconds: float
    error: LLMAPIError | None = None

    @property
    def is_error(self) -> bool:
        return self.error is not None
