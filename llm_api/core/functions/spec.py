"""From a Python function's signature to what a model is told of it, and what it accepts."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Annotated, Any, Optional, get_args, get_origin

from docstring_parser import ParseError, parse
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from llm_api.core.errors import InvalidFunctionError
from llm_api.core.functions.annotations import parameter_types
from llm_api.core.functions.arguments import Arguments
from llm_api.core.functions.types import FunctionSpec

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what OpenAI's API accepts

_CONFIG = ConfigDict(
    extra="forbid",
    # Models write "5" for 5, and 10115 for "10115": what can be meant in one way only is taken.
    coerce_numbers_to_str=True,
    allow_inf_nan=False,
)

_Parameters = Mapping[str, inspect.Parameter]


def describe_function(function: Callable[..., Any], name: str) -> tuple[FunctionSpec, Arguments]:
    """What a model is told of a function, and what the function accepts.

    Raises InvalidFunctionError where the name does not fit or a parameter cannot be offered.
    """
    if not _NAME.fullmatch(name):
        raise InvalidFunctionError(
            f"a function's name has 1 to 64 letters, digits, _ and -; {name[:80]!r} has not"
        )
    try:
        parameters = _parameters(function)
        types = parameter_types(function, parameters)
        documentation = read_docstring(function.__doc__)
        fields = {
            key: _field(parameter, types.get(key, Any), documentation.parameters.get(key))
            for key, parameter in parameters.items()
        }
        model, schema = _model(fields)
    except InvalidFunctionError as error:
        raise InvalidFunctionError(f"{name}: {error.message}") from error
    names = dict(zip(model.model_fields, parameters, strict=True))
    arguments = Arguments(model, names, _with_own_default(parameters))
    return FunctionSpec(name, documentation.description, schema), arguments


def _parameters(function: Callable[..., Any]) -> _Parameters:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise InvalidFunctionError("it has no signature that can be read") from error
    for parameter in parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise InvalidFunctionError(
                f"the parameter {parameter} is {parameter.kind.description}; a model passes"
                " arguments by name, so each parameter needs one"
            )
    return parameters


def _with_own_default(parameters: _Parameters) -> frozenset[str]:
    return frozenset(
        name
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty and not isinstance(parameter.default, FieldInfo)
    )


def _field(
    parameter: inspect.Parameter, kind: Any, documented: str | None
) -> tuple[Any, FieldInfo]:
    """The parameter as a Pydantic field that goes by its name. A `Field` of the author's wins."""
    options: dict[str, Any] = {"alias": parameter.name}
    if isinstance(parameter.default, FieldInfo):
        kind = Annotated[kind, parameter.default]
    elif parameter.default is not parameter.empty:
        options["default"] = parameter.default
    if description := FieldInfo.from_annotation(kind).description or documented:
        options["description"] = description
    if parameter.default is None and not _accepts_none(kind):
        kind = Optional[kind]  # noqa: UP045 - `|` fails on what is no class
    return kind, Field(**options)


def _accepts_none(kind: Any) -> bool:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind in (Any, object, NoneType) or NoneType in get_args(kind)


def _model(fields: Mapping[str, tuple[Any, FieldInfo]]) -> tuple[type[BaseModel], dict[str, Any]]:
    """The model of these fields, and its JSON Schema. Raises InvalidFunctionError."""
    numbered: dict[str, Any] = {f"p{number}": field for number, field in enumerate(fields.values())}
    try:
        model = create_model("Arguments", __config__=_CONFIG, **numbered)
        return model, json_schema(model)
    except Exception as error:  # a type may be the author's own, and raise whatever it likes
        if len(fields) > 1:
            for name, field in fields.items():
                _model({name: field})  # the one at fault raises
        wrong = ", ".join(fields)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidFunctionError(f"the type of {wrong} has no JSON Schema: {reason}") from error


_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "$defs"})
_VALUES = frozenset({"default", "const", "enum", "examples"})


class _Generator(GenerateJsonSchema):
    # A default without JSON form is left out: the function itself still has it.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - theirs


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of what validates as this model, without the titles that Pydantic makes up."""
    schema: dict[str, Any] = _without_titles(model.model_json_schema(schema_generator=_Generator))
    # The first keys are those a reader needs first.
    return {"type": "object", "properties": {}} | schema


def _without_titles(schema: Any) -> Any:
    """The same schema. A property that is called title, and values, keep theirs."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {}
    for key, value in schema.items():
        if key in _MAPS_OF_SCHEMAS:
            tidy[key] = {name: _without_titles(inner) for name, inner in value.items()}
        elif key != "title":
            tidy[key] = value if key in _VALUES else _without_titles(value)
    return tidy


@dataclass(frozen=True, slots=True)
class Documentation:
    """The prose without its sections, and a line for each parameter that is described."""

    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Documentation:
    """The parts of a docstring; one that cannot be parsed is all description. Pure."""
    clean = inspect.cleandoc(text or "")
    try:
        parsed = parse(clean)
    except ParseError:
        return Documentation(clean)
    return Documentation(
        (parsed.description or "").strip(),
        {
            name.strip().lstrip("*"): " ".join(parameter.description.split())
            for parameter in parsed.params
            if parameter.description
            for name in parameter.arg_name.split(",")  # NumPy: `a, b : int`
        },
    )
