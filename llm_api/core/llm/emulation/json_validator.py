"""Whether a JSON value is valid for a schema that a user wrote: no regex or reference is endless.

Patterns run on Rust's regex engine, whose time is linear in the text, so look-around is refused.
References stay within the schema. Of `format`, those in FORMATS are checked; the others assert
nothing, as the specification has it by default.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import SchemaError as MalformedSchemaError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from pydantic_core import SchemaError, SchemaValidator, core_schema
from referencing import Registry
from referencing.exceptions import Unresolvable

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.json_schema import checked, refusal, subschemas
from llm_api.core.llm.types import JSON

FORMATS: Final = ("date", "email", "ipv4", "ipv6", "uuid")

CHECK_SECONDS: Final = 2.0
"""What one check may take: references can make a small schema cost exponential time."""

_LONGEST_PROBLEM: Final = 300


class UncheckableError(Exception):
    """A keyword or pattern that is not available: the message says which."""


_Findings = Iterator[ValidationError]
_Keyword = Callable[[Any, Any, Any, Any], _Findings]


class JSONValidator:
    """Judges values by one schema. Building and `problem` block: milliseconds as a rule."""

    def __init__(self, schema: Mapping[str, JSON], param: str) -> None:
        """Raises InvalidRequestError, naming `param`, for a schema that cannot be checked."""
        self.schema = checked(schema, param)
        self._param = param
        self._deadline = 0.0
        self._check_keywords()
        keywords = {**Draft202012Validator.VALIDATORS, **_SAFE}
        timed = {name: self._timed(keyword) for name, keyword in keywords.items()}
        self._validator = extend(Draft202012Validator, timed)(  # type: ignore[no-untyped-call]
            self.schema, registry=Registry(), format_checker=FormatChecker(FORMATS)
        )

    def problem(self, value: JSON) -> str:
        """What is wrong with the value, and where; "" if nothing is. Raises InvalidRequestError."""
        self._deadline = time.monotonic() + CHECK_SECONDS
        try:
            worst = best_match(self._validator.iter_errors(value))
        except UncheckableError as error:
            raise refusal("", str(error), self._param) from error
        except Unresolvable as error:
            raise refusal("", f"the reference {error.ref!r} leads nowhere", self._param) from error
        except RecursionError:
            return "the value is nested too deeply"
        if worst is None:
            return ""
        said = worst.message[:_LONGEST_PROBLEM]
        return said if worst.json_path == "$" else f"{worst.json_path}: {said}"

    def _check_keywords(self) -> None:
        try:
            Draft202012Validator.check_schema(self.schema)
        except MalformedSchemaError as error:
            raise refusal(_pointer(error), error.message[:_LONGEST_PROBLEM], self._param) from error
        for place in subschemas(self.schema):
            if not isinstance(place.schema, dict):
                continue
            try:
                for name in place.schema.keys() & _SAFE.keys():
                    _check_keyword(name, place.schema[name])
            except UncheckableError as error:
                raise refusal(place.pointer, str(error), self._param) from error

    def _timed(self, keyword: _Keyword) -> _Keyword:
        def check(validator: Any, demand: Any, value: Any, schema: Any) -> _Findings:
            if time.monotonic() > self._deadline:
                raise InvalidRequestError(
                    f"The JSON Schema in '{self._param}' takes too long to check; make it smaller.",
                    param=self._param,
                )
            return keyword(validator, demand, value, schema)

        return check


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern`, in Rust's syntax, is found in `text`. Raises UncheckableError."""
    try:
        return _compiled(pattern).isinstance_python(text)
    except SchemaError as error:
        raise UncheckableError(f"a pattern is refused: {' '.join(str(error).split())}") from error


def _check_keyword(name: str, demand: JSON) -> None:
    """Raises UncheckableError for what `_SAFE` would refuse of any value."""
    match name, demand:
        case "pattern", str(pattern):
            matches(pattern, "")
        case "patternProperties", dict(parts):
            for pattern in parts:
                matches(pattern, "")
        case name, _ if name in _UNAVAILABLE:
            raise UncheckableError(f"'{name}' is not available")
        case _:
            pass


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> _Findings:
    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, parts: Any, value: Any, schema: Any) -> _Findings:
    for pattern, part in parts.items() if isinstance(value, dict) else ():
        for name in value:
            if matches(pattern, name):
                yield from validator.descend(value[name], part, path=name, schema_path=pattern)


def _additional_properties(validator: Any, part: Any, value: Any, schema: Any) -> _Findings:
    declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in value if isinstance(value, dict) else ():
        if name in declared or any(matches(pattern, name) for pattern in patterns):
            continue
        if part is False:
            yield ValidationError(f"the property {name!r} is not allowed")
        else:
            yield from validator.descend(value[name], part, path=name)


def _unavailable(validator: Any, demand: Any, value: Any, schema: Any) -> _Findings:
    raise UncheckableError(f"{' and '.join(_UNAVAILABLE)} are not available")


_UNAVAILABLE: Final = ("unevaluatedProperties", "$dynamicRef")

_SAFE: Final[Mapping[str, _Keyword]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    **dict.fromkeys(_UNAVAILABLE, _unavailable),
}


def _pointer(error: MalformedSchemaError) -> str:
    return "".join(f"/{step}" for step in error.absolute_path)
