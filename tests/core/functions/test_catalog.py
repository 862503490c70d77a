import pytest

from llm_api.core.errors import FunctionNotFoundError
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.types import Function, FunctionSpec, Origin
from tests.core.functions.fakes import RemoteFunction, python_function


def remote(name: str, origin: str = "server") -> RemoteFunction:
    return RemoteFunction(spec=FunctionSpec(name, "", {}), origin=Origin("package", origin))


def test_functions_of_any_kind_stand_side_by_side_in_their_order() -> None:
    catalog = FunctionCatalog()
    added: list[Function] = [remote("b"), python_function(lambda: 1), remote("a")]
    for function in added:
        catalog.add(function)
    assert catalog.functions() == tuple(added)
    assert catalog.get("f") is added[1]
    assert catalog.problems() == ()


def test_of_two_functions_of_one_name_the_first_stays_and_the_second_is_a_problem() -> None:
    catalog = FunctionCatalog()
    first, second = remote("a", "one"), remote("a", "two")
    catalog.add(first)
    catalog.add(second)
    assert catalog.functions() == (first,)
    [problem] = catalog.problems()
    assert problem.origin is second.origin
    assert str(problem) == "two: a is already taken by one, which stays."


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("get_wether", "did you mean get_weather?"),
        ("dance", "there are: get_weather, get_weekday."),
    ],
)
def test_an_unknown_name_is_answered_with_those_there_are(name: str, hint: str) -> None:
    catalog = FunctionCatalog()
    catalog.add(remote("get_weather"))
    catalog.add(remote("get_weekday"))
    with pytest.raises(FunctionNotFoundError) as caught:
        catalog.get(name)
    assert str(caught.value) == f"There is no function {name!r}; {hint}"


def test_an_empty_catalog_says_so() -> None:
    with pytest.raises(FunctionNotFoundError, match="there are: none"):
        FunctionCatalog().get("x")
