"""What is registered in this process. The one module whose names plugins import.

from llm_api.core.functions.registry import function_registry

@function_registry.register
def calculate_tip(bill_amount: float, tip_percentage: float = 15.0) -> float:
    ...
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar, overload

from llm_api.core.errors import InvalidFunctionError
from llm_api.core.functions.arguments import Arguments
from llm_api.core.functions.spec import describe_function
from llm_api.core.functions.types import FunctionSpec

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, eq=False)
class Declaration:
    """A Python function and what is known of it. `module` is where it was defined."""

    function: Callable[..., Any]
    spec: FunctionSpec
    arguments: Arguments
    timeout_seconds: float | None
    module: str


def declare(
    function: Callable[..., Any], name: str | None = None, timeout_seconds: float | None = None
) -> Declaration:
    """All that can be known of a function before it is called. Raises InvalidFunctionError."""
    own_name = getattr(function, "__name__", None)
    if own_name is None or inspect.isclass(function) or not callable(function):
        raise InvalidFunctionError(f"only functions can be registered, not {function!r}")
    if timeout_seconds is not None and not timeout_seconds > 0:
        raise InvalidFunctionError(f"{own_name}: timeout_seconds must be more than 0")
    spec, arguments = describe_function(function, own_name if name is None else name)
    module = getattr(function, "__module__", None) or ""
    return Declaration(function, spec, arguments, timeout_seconds, module)


class FunctionRegistry:
    """Remembers declarations in the order they are made. Names may repeat: catalogs decide."""

    def __init__(self) -> None:
        self._declarations: list[Declaration] = []

    @overload
    def register(self, function: AnyFunction, /) -> AnyFunction: ...

    @overload
    def register(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Callable[[AnyFunction], AnyFunction]: ...

    def register(
        self,
        function: AnyFunction | None = None,
        /,
        *,
        name: str | None = None,
        timeout_seconds: float | None = None,
    ) -> AnyFunction | Callable[[AnyFunction], AnyFunction]:
        """Offer a function to models, under its own name or another. A decorator.

        Leaves the function as it is. `timeout_seconds` replaces the server's setting for it.
        Raises InvalidFunctionError where a model could not call it.
        """

        def remember(function: AnyFunction) -> AnyFunction:
            self._declarations.append(declare(function, name, timeout_seconds))
            return function

        return remember if function is None else remember(function)

    def declarations(self) -> tuple[Declaration, ...]:
        """Everything registered so far."""
        return tuple(self._declarations)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """A block that, if it raises, has registered nothing."""
        before = self._declarations.copy()
        try:
            yield
        except BaseException:
            self._declarations = before
            raise


def is_within(module: str, package: str) -> bool:
    """Whether a module is `package` or below it. Pure."""
    return module == package or module.startswith(f"{package}.")


function_registry: Final = FunctionRegistry()
