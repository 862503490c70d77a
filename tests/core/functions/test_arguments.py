"""Arguments are checked before the call, and arrive as the types the function asks for."""

import math
from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, JsonValue

from llm_api.core.errors import InvalidArgumentsError
from llm_api.core.functions.spec import describe_function


class Unit(Enum):
    METRIC = "metric"


class Guest(BaseModel):
    name: str
    age: int = 0


def validated(function: Callable[..., Any], arguments: dict[str, JsonValue]) -> dict[str, Any]:
    _, accepted = describe_function(function, "f")
    return accepted.validate(arguments)


def refusal(function: Callable[..., Any], arguments: dict[str, JsonValue]) -> InvalidArgumentsError:
    with pytest.raises(InvalidArgumentsError) as caught:
        validated(function, arguments)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "given", "taken"),
    [
        (int, 5, 5),
        (int, "5", 5),
        (int, 5.0, 5),
        (float, "2.5", 2.5),
        (float, 3, 3.0),
        (bool, "true", True),
        (str, 10115, "10115"),
        (date, "2026-02-14", date(2026, 2, 14)),
        (Unit, "metric", Unit.METRIC),
        (Guest, {"name": "Ada", "age": "36"}, Guest(name="Ada", age=36)),
        (list[Guest], [{"name": "Ada"}], [Guest(name="Ada")]),
        (int | None, None, None),
        (dict[str, int], {"a": "1"}, {"a": 1}),
        (Any, {"a": [1, None]}, {"a": [1, None]}),
    ],
)
def test_what_can_be_meant_in_one_way_only_is_taken(
    kind: object, given: JsonValue, taken: object
) -> None:
    def f(value: object) -> None: ...

    f.__annotations__["value"] = kind
    [value] = validated(f, {"value": given}).values()
    assert value == taken
    assert type(value) is type(taken)


@pytest.mark.parametrize(
    ("kind", "given", "reason"),
    [
        (int, 5.5, "value: Input should be a valid integer"),
        (int, "five", "value: Input should be a valid integer"),
        (int, None, "value: Input should be a valid integer"),
        (float, "Infinity", "value: Input should be a finite number"),
        (float, math.nan, "value: Input should be a finite number"),
        (str, ["a"], "value: Input should be a valid string"),
        (Literal["a", "b"], "c", "value: Input should be 'a' or 'b'"),
        (Guest, {}, "value.name is missing"),
        (list[int], [1, "x"], "value.1: Input should be a valid integer"),
    ],
)
def test_anything_else_is_refused_with_the_reason(
    kind: object, given: JsonValue, reason: str
) -> None:
    def f(value: object) -> None: ...

    f.__annotations__["value"] = kind
    error = refusal(f, {"value": given})
    assert error.message.startswith(f"The arguments do not fit: {reason}")
    assert error.param == reason.partition(" ")[0].rstrip(":")


def test_everything_wrong_is_said_at_once_with_what_would_be_right() -> None:
    def f(bill: float, tip: float = 15.0) -> None: ...

    assert refusal(f, {"tip": "much", "currency": "EUR"}).message == (
        "The arguments do not fit: bill is missing; tip: Input should be a valid number, unable to"
        " parse string as a number; currency is not known. The parameters are: bill, tip."
    )


def test_of_many_findings_some_are_said() -> None:
    error = refusal(lambda: 1, {f"a{number}": 1 for number in range(1000)})
    assert error.message.endswith("a4 is not known; and more. The parameters are: none.")


def test_a_refusal_shows_no_paths() -> None:
    class Checked(BaseModel):
        file: str

        def model_post_init(self, _: object) -> None:
            raise ValueError("no such file: /home/ada/secret.txt")

    def f(value: object) -> None: ...

    f.__annotations__["value"] = Checked
    assert "no such file: [path]" in refusal(f, {"value": {"file": "x"}}).message


def test_a_default_is_the_functions_own() -> None:
    missing = object()

    def f(a: object = missing, b: list[int] = []) -> None: ...  # noqa: B006 - what is tested

    assert validated(f, {}) == {}


def test_a_field_as_default_gives_its_value() -> None:
    many: list[int] = Field(default_factory=list)

    def f(a: int = Field(default=3), b: list[int] = many) -> None: ...

    assert validated(f, {}) == {"a": 3, "b": []}
