"""The types of a function's parameters as Pydantic can read them. Knows no schema."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace, UnionType
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from typing_extensions import TypedDict

from llm_api.core.errors import InvalidFunctionError


def parameter_types(function: Callable[..., Any], names: Iterable[str]) -> Mapping[str, Any]:
    """The type of each named parameter that has one, names in quotes resolved.

    Annotations that `from __future__ import annotations` left as text are read where the function
    was defined. What a function returns is not looked at. Raises InvalidFunctionError.
    """
    plain = inspect.unwrap(function)
    wanted = set(names)
    annotations = {
        name: annotation
        for name, annotation in getattr(plain, "__annotations__", {}).items()
        if name in wanted
    }
    try:
        hints = get_type_hints(
            SimpleNamespace(__annotations__=annotations),
            globalns=getattr(plain, "__globals__", {}),
            include_extras=True,
        )
        return {name: readable(hint) for name, hint in hints.items()}
    except Exception as error:  # annotations are the author's code, and raise whatever they like
        raise InvalidFunctionError(f"a type cannot be read: {error}") from error


def readable(hint: Any) -> Any:
    """The type, with every `typing.TypedDict` in it as Pydantic wants it before 3.12. Pure."""
    if sys.version_info < (3, 12) and is_typeddict(hint):
        return _readable_typed_dict(hint)
    arguments = get_args(hint)
    if get_origin(hint) is Literal or (new := tuple(map(readable, arguments))) == arguments:
        return hint
    return (Union if isinstance(hint, UnionType) else get_origin(hint))[new]


def _readable_typed_dict(kind: Any) -> Any:
    """The same keys in the TypedDict of `typing_extensions`, which knows which are required."""
    keys: dict[str, Any] = {}
    for name, original in get_type_hints(kind, include_extras=True).items():
        hint = readable(original)
        if get_origin(hint) not in {Required, NotRequired}:
            hint = (Required if name in kind.__required_keys__ else NotRequired)[hint]
        keys[name] = hint
    return TypedDict(kind.__name__, keys)  # type: ignore[operator]
