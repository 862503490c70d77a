"""A rejected setting as one line for the person who set it. Knows no particular setting."""

import types
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal, Union, get_args, get_origin

from pydantic import AnyHttpUrl, ByteSize, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

KIND_IN_WORDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text that is not empty",
    Path: "a path",
    ByteSize: "a size such as 8GB",
    AnyHttpUrl: "a URL such as https://example.org",
    tuple: "names separated by commas",
    SecretStr: "a text",
}


def explain(problem: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    """One line that names the environment variable and what it accepts. Shows no secret.

    A problem of no single field is one that a model validator raised: its message is the line.
    """
    if not problem["loc"]:
        error = problem["ctx"]["error"]
        return ".env: is not UTF-8 text" if isinstance(error, UnicodeError) else str(error)
    field_name = str(problem["loc"][0])
    name = field_name.upper()
    if field_name not in fields:
        return f"{name}: unknown setting in .env; {_hint(field_name, fields)}"
    field = fields[field_name]
    line = f"{name}: must be {allowed_values(field)}"
    return line if _kind(field) is SecretStr else f"{line}, not {shown(problem['input'])}"


def allowed_values(field: FieldInfo, kinds: Mapping[object, str] = KIND_IN_WORDS) -> str:
    """What a field accepts, in words, out of its own annotation and bounds."""
    kind = _kind(field)
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    words = kinds[get_origin(kind) or kind]
    low, high = _bound(field, "ge"), _bound(field, "le")
    if low is not None and high is not None:
        return f"{words} between {low} and {high}"
    return words if low is None else f"{words}, at least {low}"


def _kind(field: FieldInfo) -> object:
    """The bare type: neither optional nor annotated."""
    kind: object = field.annotation
    if get_origin(kind) in {Union, types.UnionType}:
        kind = next(option for option in get_args(kind) if option is not types.NoneType)
    return getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind


def _bound(field: FieldInfo, name: Literal["ge", "le"]) -> object:
    return next((getattr(item, name) for item in field.metadata if hasattr(item, name)), None)


def _hint(field_name: str, fields: Mapping[str, FieldInfo]) -> str:
    near = get_close_matches(field_name, fields, n=1, cutoff=0.8)
    if near:
        return f"did you mean {near[0].upper()}?"
    return "what is meant for other programs belongs in the shell"


def shown(value: object) -> str:
    """A value as it was given, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
