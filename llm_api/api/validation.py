"""Pydantic's findings in the words of the wire: which parameter, which code, what to do. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TYPE_ERRORS = frozenset({"model_attributes_type", "invalid_type", "bool_parsing"})

_EXPECTATIONS: Mapping[str, str] = {
    "model_attributes_type": "Input should be an object",
    "model_type": "Input should be an object",
    "dict_type": "Input should be an object",
}


@dataclass(frozen=True, slots=True)
class RequestProblem:
    """What is wrong with a request."""

    message: str
    code: str
    param: str | None


def describe_validation(errors: Sequence[Mapping[str, Any]], body: object) -> RequestProblem:
    """The first finding. `body` is the parsed body, which it may be about."""
    error = errors[0]
    kind: str = error["type"]
    place, *location = error["loc"]
    if kind == "refused_parameter":
        location.append(error["ctx"]["param"])
    if place == "body":
        param = readable_path(location, body, is_missing=kind == "missing") or None
    else:
        param = str(location[0])  # of the path, the query or the headers
    if kind == "missing":
        return RequestProblem(
            f"Missing required parameter: '{param}'.", "missing_required_parameter", param
        )
    if kind == "extra_forbidden":
        return RequestProblem(
            f"The parameter '{param}' is not known to this server;"
            " with STRICT_PARAMETERS=false it would be ignored.",
            "unsupported_parameter",
            param,
        )
    if kind == "refused_parameter":
        return RequestProblem(
            f"The parameter '{param}' is not available with this value. {error['msg']}",
            "unsupported_parameter",
            param,
        )
    code = "invalid_type" if kind.endswith("_type") or kind in _TYPE_ERRORS else "invalid_value"
    expectation = _EXPECTATIONS.get(kind) or error["msg"].removesuffix(".")
    subject = f"value for '{param}'" if param else "request body"
    return RequestProblem(f"Invalid {subject}: {expectation}.", code, param)


def readable_path(location: Sequence[str | int], body: object, *, is_missing: bool) -> str:
    """`messages[0].content` out of Pydantic's location. Pure.

    Pydantic mixes the names of union members into a location; only the steps that exist in the
    client's own body are kept, and the last one if it names what is missing from it.
    """
    path = ""
    for number, step in enumerate(location):
        if isinstance(step, int) and isinstance(body, list) and step < len(body):
            path += f"[{step}]"
            body = body[step]
        elif isinstance(step, str) and isinstance(body, dict):
            is_last = number == len(location) - 1
            if step not in body and not (is_missing and is_last):
                continue
            path += f".{step}" if path else step
            body = body.get(step)
    return path
