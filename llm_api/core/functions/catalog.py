"""The functions of one service, by name, and what could not become one."""

from difflib import get_close_matches

from llm_api.core.errors import FunctionNotFoundError
from llm_api.core.functions.types import Function, Problem


class FunctionCatalog:
    """Functions of any kind in the order they were added. Belongs to one service."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}
        self._problems: list[Problem] = []

    def add(self, function: Function) -> None:
        """Offer a function. If there is one of its name, that one stays, and this is a problem."""
        name = function.spec.name
        first = self._functions.setdefault(name, function)
        if first is not function:
            message = f"{name} is already taken by {first.origin.name}, which stays."
            self.report(Problem(function.origin, message))

    def extended(self, function: Function) -> "FunctionCatalog":
        """The same with one more function, where its name is free. This one stays as it is."""
        catalog = FunctionCatalog()
        catalog._functions = {**self._functions}
        catalog._functions.setdefault(function.spec.name, function)
        catalog._problems = self._problems
        return catalog

    def report(self, problem: Problem) -> None:
        """Remember why something is not there."""
        self._problems.append(problem)

    def functions(self) -> tuple[Function, ...]:
        """Every function."""
        return tuple(self._functions.values())

    def problems(self) -> tuple[Problem, ...]:
        """Every problem."""
        return tuple(self._problems)

    def __contains__(self, name: str) -> bool:
        """Whether there is a function of this name."""
        return name in self._functions

    def get(self, name: str) -> Function:
        """The function of this name. Raises FunctionNotFoundError."""
        if name in self._functions:
            return self._functions[name]
        near = get_close_matches(name, self._functions, n=1)
        all_names = ", ".join(self._functions) or "none"
        known = f"did you mean {near[0]}?" if near else f"there are: {all_names}."
        raise FunctionNotFoundError(f"There is no function {name!r}; {known}", param="name")
