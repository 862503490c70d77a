"""What a model is told of a function, for every kind of annotation and style of docstring."""

import enum
import functools
import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from llm_api.core.errors import InvalidFunctionError
from llm_api.core.functions.spec import describe_function


class Unit(enum.Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Point:
    x: float
    y: float = 0.0


class Address(BaseModel):
    """Where somebody lives."""

    title: str = Field(title="Salutation", description="Mr or Ms.")
    lines: list[str] = []


class Person(TypedDict):
    name: str
    age: NotRequired[int]


class Tree(BaseModel):
    children: list["Tree"] = []


TEXT = {"type": "string"}
NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}
NULL = {"type": "null"}
POINT = {
    "type": "object",
    "properties": {"x": NUMBER, "y": {"type": "number", "default": 0.0}},
    "required": ["x"],
    "additionalProperties": False,
}
ADDRESS = {
    "type": "object",
    "description": "Where somebody lives.",
    "properties": {
        "title": {"type": "string", "description": "Mr or Ms."},
        "lines": {"type": "array", "items": TEXT, "default": []},
    },
    "required": ["title"],
}
PERSON = {
    "type": "object",
    "properties": {"name": TEXT, "age": INTEGER},
    "required": ["name"],
    "additionalProperties": False,
}


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The schema, which is a valid one."""
    spec, _ = describe_function(function, "f")
    Draft202012Validator.check_schema(spec.parameters)
    return dict(spec.parameters)


def one_parameter(annotation: object, **default: object) -> Callable[..., Any]:
    def f(value: object = None) -> None: ...

    f.__annotations__["value"] = annotation
    f.__defaults__ = tuple(default.values()) or None
    return f


def resolved(schema: dict[str, Any]) -> Any:
    """The schema of `value`, with the definition it refers to in place."""
    value = schema["properties"]["value"]
    name = value.get("$ref", "").removeprefix("#/$defs/")
    return schema["$defs"][name] if name else value


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, TEXT),
        (int, INTEGER),
        (float, NUMBER),
        (bool, {"type": "boolean"}),
        (None, NULL),
        (Any, {}),
        (object, {}),
        (list, {"type": "array", "items": {}}),
        (dict, {"type": "object", "additionalProperties": True}),
        (list[int], {"type": "array", "items": INTEGER}),
        (typing.List[int], {"type": "array", "items": INTEGER}),  # noqa: UP006
        (Sequence[str], {"type": "array", "items": TEXT}),
        (set[int], {"type": "array", "items": INTEGER, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": INTEGER}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [INTEGER, TEXT], "minItems": 2, "maxItems": 2},
        ),
        (dict[str, float], {"type": "object", "additionalProperties": NUMBER}),
        (typing.Dict[str, Any], {"type": "object", "additionalProperties": True}),  # noqa: UP006
        (
            dict[str, list[dict[str, int]]],
            {
                "type": "object",
                "additionalProperties": {
                    "type": "array",
                    "items": {"type": "object", "additionalProperties": INTEGER},
                },
            },
        ),
        (Optional[int], {"anyOf": [INTEGER, NULL]}),  # noqa: UP045
        (int | None, {"anyOf": [INTEGER, NULL]}),
        (Union[int, str], {"anyOf": [INTEGER, TEXT]}),
        (int | str, {"anyOf": [INTEGER, TEXT]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["only"], {"type": "string", "const": "only"}),
        (Literal[1, "a"], {"enum": [1, "a"]}),
        (Unit, {"type": "string", "enum": ["metric", "imperial"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (Point, POINT),
        (Address, ADDRESS),
        (Person, PERSON),
        (datetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (time, {"type": "string", "format": "time"}),
        (timedelta, {"type": "string", "format": "duration"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Annotated[int, Field(ge=1, le=5)], {"type": "integer", "minimum": 1, "maximum": 5}),
        (Annotated[str, Field(description="Own words.")], {**TEXT, "description": "Own words."}),
        (Annotated[str, "unknown to Pydantic"], TEXT),
    ],
)
def test_an_annotation_becomes_its_schema(annotation: object, schema: object) -> None:
    found = schema_of(one_parameter(annotation))
    assert resolved(found) == schema
    assert found["required"] == ["value"]
    assert found["type"] == "object"
    assert found["additionalProperties"] is False


@pytest.mark.parametrize(
    ("annotation", "inner"),
    [
        (list[Point], POINT),
        (dict[str, Person], PERSON),
        (Person | None, PERSON),
        (Annotated[list[Person], Field(min_length=1)], PERSON),
        (Optional[Address], ADDRESS),  # noqa: UP045
    ],
)
def test_a_type_within_another_has_its_schema_too(annotation: object, inner: object) -> None:
    [definition] = schema_of(one_parameter(annotation))["$defs"].values()
    assert definition == inner


def test_a_type_that_contains_itself_refers_to_itself() -> None:
    schema = schema_of(one_parameter(Tree))
    assert schema["$defs"]["Tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}


def test_a_parameter_without_annotation_accepts_any_json() -> None:
    def f(anything): ...  # type: ignore[no-untyped-def]

    assert schema_of(f)["properties"] == {"anything": {}}


def test_a_function_without_parameters_has_none() -> None:
    assert schema_of(lambda: 1) == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


NOT_GIVEN = object()


@pytest.mark.parametrize(
    ("annotation", "default", "written"),
    [
        (float, 15.0, 15.0),
        (str, "", ""),
        (Unit, Unit.METRIC, "metric"),
        (date, date(2026, 2, 14), "2026-02-14"),
        (list[int], [1], [1]),
        (Decimal, Decimal("1.5"), "1.5"),
        (int | None, None, None),
        (int, Field(default=3), 3),
        (list[int], Field(default_factory=list), NOT_GIVEN),
        (Any, NOT_GIVEN, NOT_GIVEN),
    ],
)
def test_a_default_is_told_where_json_can_and_makes_the_parameter_optional(
    annotation: object, default: object, written: object
) -> None:
    schema = schema_of(one_parameter(annotation, default=default))
    assert "required" not in schema
    assert schema["properties"]["value"].get("default", NOT_GIVEN) == written


def test_a_default_of_none_allows_null_even_where_the_type_does_not() -> None:
    schema = schema_of(one_parameter(int, default=None))
    assert schema["properties"]["value"] == {"anyOf": [INTEGER, NULL], "default": None}


def test_a_field_as_default_says_all_that_it_says_in_an_annotation() -> None:
    schema = schema_of(one_parameter(int, default=Field(ge=1, description="How many.")))
    assert schema["properties"]["value"] == {**INTEGER, "minimum": 1, "description": "How many."}
    assert schema["required"] == ["value"]


@pytest.mark.parametrize(
    "name", ["json", "schema", "model_config", "_hidden", "self", "copy", "p0"]
)
def test_a_parameter_may_have_any_name(name: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def f(first: int, {name}: str): return {name}", namespace)  # noqa: S102 - our own text
    function = namespace["f"]
    assert list(schema_of(function)["properties"]) == ["first", name]
    _, arguments = describe_function(function, "f")
    assert function(**arguments.validate({"first": 1, name: "x"})) == "x"


GOOGLE = """Calculate tip and total.

    Rounds to cents,
    not to euros.

    Args:
        bill (float): The bill,
            before the tip.
        tip: Percent: of the bill.
        unknown: Of another function.

    Returns:
        Both.

    Raises:
        ValueError: Never.
    """
NUMPY = """Calculate tip and total.

    Rounds to cents,
    not to euros.

    Parameters
    ----------
    bill : float
        The bill,
        before the tip.
    tip : float, optional
        Percent: of the bill.

    Returns
    -------
    dict
        Both.
    """
REST = """Calculate tip and total.

    Rounds to cents,
    not to euros.

    :param float bill: The bill,
        before the tip.
    :param tip: Percent: of the bill.
    :type tip: float
    :returns: Both.
    :raises ValueError: Never.
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, REST], ids=["Google", "NumPy", "reST"])
def test_a_docstring_describes_the_function_and_its_parameters(docstring: str) -> None:
    def f(bill: float, tip: float = 15.0) -> None: ...

    f.__doc__ = docstring
    spec, _ = describe_function(f, "tip")
    assert spec.description == "Calculate tip and total.\n\nRounds to cents,\nnot to euros."
    properties = spec.parameters["properties"]
    assert isinstance(properties, dict)
    assert properties == {
        "bill": {**NUMBER, "description": "The bill, before the tip."},
        "tip": {**NUMBER, "description": "Percent: of the bill.", "default": 15.0},
    }


def test_numpy_style_may_describe_several_parameters_at_once() -> None:
    def f(a: int, b: int) -> None:
        """Add.

        Parameters
        ----------
        a, b : int
            To be added.
        """

    assert all(x["description"] == "To be added." for x in schema_of(f)["properties"].values())


@pytest.mark.parametrize(
    ("docstring", "description"),
    [
        (None, ""),
        ("", ""),
        ("One line.", "One line."),
        (
            "Text: with a colon\n\nNote: and this: too.",
            "Text: with a colon\n\nNote: and this: too.",
        ),
        (":param broken", ":param broken"),
    ],
)
def test_a_docstring_without_parameters_is_all_description(
    docstring: str | None, description: str
) -> None:
    def f(a: int) -> None: ...

    f.__doc__ = docstring
    spec, _ = describe_function(f, "f")
    assert spec.description == description
    assert spec.parameters["properties"] == {"a": INTEGER}


def test_a_description_in_the_annotation_wins_over_the_docstring() -> None:
    def f(a: Annotated[int, Field(description="Of the annotation.")]) -> None:
        """F.

        Args:
            a: Of the docstring.
        """

    assert schema_of(f)["properties"]["a"]["description"] == "Of the annotation."


def test_a_decorated_function_shows_its_own_signature() -> None:
    def inner(a: int, b: str = "x") -> None:
        """Do it."""

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> None: ...

    assert schema_of(outer) == schema_of(inner)
    assert list(schema_of(functools.cache(inner))["properties"]) == ["a", "b"]


def test_annotations_that_are_text_are_read_where_the_function_was_defined() -> None:
    from tests.core.functions import postponed

    schema = schema_of(postponed.book)
    assert list(schema["properties"]) == ["guest", "nights", "room"]
    assert schema["properties"]["nights"] == {**INTEGER, "minimum": 1}
    assert schema["$defs"]["Guest"]["properties"] == {"name": TEXT, "age": INTEGER}
    assert schema["$defs"]["Room"]["enum"] == ["single", "double"]


def test_what_a_function_returns_need_not_be_readable() -> None:
    def f(a: int) -> "NotThere":  # type: ignore[name-defined]  # noqa: F821
        ...

    assert schema_of(f)["properties"] == {"a": INTEGER}


class Opaque: ...


def positional(a: int, /) -> None: ...


def variadic(*numbers: int) -> None: ...


def keywords(**options: int) -> None: ...


def unresolvable(a: "NotThere") -> None:  # type: ignore[name-defined]  # noqa: F821
    ...


def opaque(a: int, b: Opaque) -> None: ...


def callback(a: int, b: Callable[[], int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (positional, "f: the parameter a: int is positional-only; a model passes"),
        (variadic, "f: the parameter *numbers: int is variadic positional"),
        (keywords, "f: the parameter **options: int is variadic keyword"),
        (unresolvable, "f: a type cannot be read: name 'NotThere' is not defined"),
        (opaque, "f: the type of b has no JSON Schema: Unable to generate"),
        (callback, "f: the type of b has no JSON Schema: Cannot generate"),
        (max, "f: it has no signature that can be read"),
    ],
)
def test_what_cannot_be_offered_is_refused_in_one_line(
    function: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(InvalidFunctionError) as caught:
        describe_function(function, "f")
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "é", "a" * 65, "<lambda>", "a\n"])
def test_a_name_that_openai_refuses_is_refused(name: str) -> None:
    with pytest.raises(InvalidFunctionError, match="1 to 64 letters"):
        describe_function(lambda: 1, name)


@pytest.mark.parametrize("name", ["a", "get-weather_2", "A" * 64])
def test_a_name_that_openai_accepts_is_accepted(name: str) -> None:
    assert describe_function(lambda: 1, name)[0].name == name


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Pydantic reads it as it is")
def test_a_typed_dict_knows_which_keys_are_required() -> None:
    class Partial(TypedDict, total=False):
        people: list[Person]
        id: typing.Required[int]

    schema = schema_of(one_parameter(Partial))
    assert schema["$defs"]["Partial"]["required"] == ["id"]
    assert schema["$defs"]["Person"] == PERSON
