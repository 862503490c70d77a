import functools
import inspect
import subprocess
import sys

import pytest

import llm_api
from llm_api.core.errors import InvalidFunctionError
from llm_api.core.functions.registry import FunctionRegistry, function_registry


def test_a_registered_function_stays_as_it_was() -> None:
    def double(number: int) -> int:
        """Double it."""
        return number * 2

    registry = FunctionRegistry()
    assert registry.register(double) is double
    assert registry.register(name="twice")(double) is double
    assert double(4) == 8


def test_the_decorator_takes_a_name_and_a_timeout_or_nothing() -> None:
    registry = FunctionRegistry()

    @registry.register
    def first() -> None: ...

    @registry.register()
    async def second() -> None: ...

    @registry.register(name="other", timeout_seconds=2.5)
    def third() -> None: ...

    declared = registry.declarations()
    assert [one.spec.name for one in declared] == ["first", "second", "other"]
    assert [one.timeout_seconds for one in declared] == [None, None, 2.5]
    assert {one.module for one in declared} == {__name__}
    assert inspect.iscoroutinefunction(second)


class Counter:
    def count(self, by: int) -> int:
        return by

    def __call__(self) -> None: ...


def test_a_method_of_an_object_is_registered_without_self() -> None:
    registry = FunctionRegistry()
    registry.register(Counter().count)
    [declared] = registry.declarations()
    assert declared.spec.name == "count"
    assert declared.spec.parameters["required"] == ["by"]


@pytest.mark.parametrize("thing", [Counter, Counter(), 3, "f", functools.partial(print)])
def test_what_is_no_function_is_refused(thing: object) -> None:
    registry = FunctionRegistry()
    with pytest.raises(InvalidFunctionError, match="only functions can be registered"):
        registry.register(thing)  # type: ignore[call-overload]
    assert registry.declarations() == ()


def test_a_lambda_needs_a_name() -> None:
    registry = FunctionRegistry()
    with pytest.raises(InvalidFunctionError, match="'<lambda>' has not"):
        registry.register(lambda: 1)
    registry.register(name="one")(lambda: 1)
    assert registry.declarations()[0].spec.name == "one"


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timeout_that_leaves_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidFunctionError, match="timeout_seconds must be more than 0"):
        FunctionRegistry().register(timeout_seconds=seconds)(lambda: 1)


def test_a_block_that_fails_has_registered_nothing() -> None:
    registry = FunctionRegistry()
    registry.register(name="before")(lambda: 1)

    @registry.all_or_nothing()
    def fail() -> None:
        registry.register(name="within")(lambda: 1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert [one.spec.name for one in registry.declarations()] == ["before"]


def test_the_registry_of_the_process_is_one() -> None:
    assert isinstance(function_registry, FunctionRegistry)


def test_both_paths_lead_to_the_one_registry() -> None:
    assert llm_api.function_registry is function_registry
    with pytest.raises(AttributeError, match="has no attribute 'functions_registry'"):
        _ = llm_api.functions_registry  # type: ignore[attr-defined]


def test_the_package_itself_is_imported_without_what_the_decorator_needs() -> None:
    code = "import sys, llm_api; print(sorted({'pydantic', 'llm_api.core'} & sys.modules.keys()))"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)  # noqa: S603
    assert printed == "[]\n"
