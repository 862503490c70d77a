"""Whether a JSON value is valid for a schema that a user wrote, found out within a bound.

Every keyword of JSON Schema 2020-12 is judged but `$dynamicRef`, and the formats that it defines
assert. References stay within the schema.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.checking.string_checks import (
    CHECKED_FORMATS,
    UncheckableError,
    has_format,
    is_found,
    matches,
)
from llm_api.core.llm.output.checking.unevaluated import Evaluation
from llm_api.core.llm.output.schemas.places import refusal, subschemas
from llm_api.core.llm.output.schemas.sound import check_finite, sound
from llm_api.core.llm.types import JSON

CHECK_SECONDS: Final = 0.5
"""CPU time of one check: references can make a small schema cost exponential time."""

FORM_SECONDS: Final = 2.0
"""CPU time to see that a schema is well formed: its size alone decides."""

_LONGEST_PROBLEM: Final = 300
_PROBLEMS: Final = 20
"""Problems compared to choose the one reported, and branches of a union tried for it."""

_UNBOUNDED: Final = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef")
"""Keywords judged only where `is_lenient`: a check of them may not come to an end."""

_Findings = Iterator[ValidationError]
_Keyword = Callable[[Any, Any, Any, Any], _Findings | None]


class JSONValidator:
    """Judges values by one schema. Building and `problem` block: milliseconds as a rule.

    Belongs to one thread at a time: the deadline of the check that runs is kept here.
    """

    def __init__(self, schema: Mapping[str, JSON], param: str, *, is_lenient: bool = False) -> None:
        """Raises InvalidRequestError, naming `param`, for a schema that cannot be checked.

        With `is_lenient` that is a malformed one. Else it is also one of which only the check will
        show whether it can be made: with look-around, or `unevaluatedProperties`.
        """
        self.schema = sound(schema, param)
        self.param = param
        self._end = 0.0
        self._check_form()
        if not is_lenient:
            check_finite(self.schema, param)
            self._check_bounded()
        self._validator = self._kind(self._keywords())(self.schema, registry=Registry())

    def problem(self, value: JSON) -> str:
        """What is wrong with the value, and where; "" if nothing is. Raises UncheckableError."""
        self._start(CHECK_SECONDS)
        try:
            worst = best_match(islice(self._validator.iter_errors(value), _PROBLEMS))
        except Unresolvable as error:
            raise UncheckableError(f"the reference {error.ref!r} leads nowhere") from error
        except RecursionError:
            return "the value is nested too deeply"
        if worst is None:
            return ""
        said = worst.message[:_LONGEST_PROBLEM]
        return said if worst.json_path == "$" else f"{worst.json_path}: {said}"

    def _check_form(self) -> None:
        self._start(FORM_SECONDS)
        judge = self._kind({**self._keywords(), "format": _nothing})
        try:
            for error in judge(Draft202012Validator.META_SCHEMA).iter_errors(self.schema):
                pointer = "".join(f"/{step}" for step in error.absolute_path)
                raise refusal(pointer, error.message[:_LONGEST_PROBLEM], self.param)
        except UncheckableError as error:
            raise InvalidRequestError(
                f"The JSON Schema in '{self.param}': {error}; make it smaller.", param=self.param
            ) from error

    def _check_bounded(self) -> None:
        for place in subschemas(self.schema):
            try:
                for name, demand in place.schema.items() if isinstance(place.schema, dict) else ():
                    _check_keyword(name, demand)
            except UncheckableError as error:
                raise refusal(place.pointer, str(error), self.param) from error

    def _start(self, seconds: float) -> None:
        self._end = time.thread_time() + seconds

    def _left(self) -> float:
        """The seconds that are left. Raises UncheckableError when there are none."""
        left = self._end - time.thread_time()
        if left <= 0:
            raise UncheckableError("it takes too long to check")
        return left

    def _is_found(self, pattern: str, text: str) -> bool:
        return is_found(pattern, text, self._left())

    def _kind(self, keywords: Mapping[str, _Keyword]) -> Any:
        """The library's validator with its keywords replaced by these, all of them timed."""
        every = {**Draft202012Validator.VALIDATORS, **keywords}
        timed = {name: self._timed(keyword) for name, keyword in every.items()}
        return extend(Draft202012Validator, timed)  # type: ignore[no-untyped-call]

    def _timed(self, keyword: _Keyword) -> Any:
        def check(validator: Any, demand: Any, value: Any, schema: Any) -> Iterable[object]:
            self._left()
            return keyword(validator, demand, value, schema) or ()

        return check

    def _keywords(self) -> Mapping[str, _Keyword]:
        """Replacements of keywords whose cost in the library, time or memory, has no bound."""
        return {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "unevaluatedProperties": partial(self._unevaluated, dict),
            "unevaluatedItems": partial(self._unevaluated, list),
            "format": _format,
            "uniqueItems": _unique_items,
            "anyOf": _any_of,
            "oneOf": _one_of,
            "$dynamicRef": _dynamic_reference,
        }

    def _pattern(self, validator: Any, pattern: str, value: Any, schema: Any) -> _Findings:
        if isinstance(value, str) and not self._is_found(pattern, value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    def _pattern_properties(self, validator: Any, parts: Any, value: Any, schema: Any) -> _Findings:
        for pattern, part in parts.items() if isinstance(value, dict) else ():
            for name in value:
                if self._is_found(pattern, name):
                    yield from validator.descend(value[name], part, path=name, schema_path=pattern)

    def _additional_properties(
        self, validator: Any, part: Any, value: Any, schema: Any
    ) -> _Findings:
        declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name in value if isinstance(value, dict) else ():
            if name in declared or any(self._is_found(pattern, name) for pattern in patterns):
                continue
            if part is False:
                yield ValidationError(f"the property {name!r} is not allowed")
            else:
                yield from validator.descend(value[name], part, path=name)

    def _unevaluated(
        self, kind: type, validator: Any, part: Any, value: Any, schema: Any
    ) -> _Findings:
        if not isinstance(value, kind):
            return
        whole: Any = value
        holds = partial(_holds, validator)
        evaluation = Evaluation(self.schema, whole, holds, self._is_found, self._left)
        for rest in evaluation.left_over(schema):
            yield from validator.descend(whole[rest], part, path=rest)


def _check_keyword(name: str, demand: JSON) -> None:
    """Raises UncheckableError for what some value could make unbounded."""
    match name, demand:
        case "pattern", str(pattern):
            matches(pattern, "")
        case "patternProperties", dict(parts):
            for pattern in parts:
                matches(pattern, "")
        case name, _ if name in _UNBOUNDED:
            raise UncheckableError(f"'{name}' is not available")
        case _:
            pass


def _holds(validator: Any, schema: JSON, value: JSON) -> bool:
    return bool(validator.evolve(schema=schema).is_valid(value))


def _nothing(validator: Any, demand: Any, value: Any, schema: Any) -> None:
    """Asserts nothing."""


def _format(validator: Any, name: str, value: Any, schema: Any) -> _Findings:
    if isinstance(value, str) and name in CHECKED_FORMATS and not has_format(name, value):
        yield ValidationError(f"{value!r} is not a {name!r}")


def _unique_items(validator: Any, demand: bool, value: Any, schema: Any) -> _Findings:
    if demand and isinstance(value, list) and len({*map(_key, value)}) < len(value):
        yield ValidationError(f"{value!r} has an item twice")


def _key(value: JSON) -> object:
    """The same for equal JSON values alone: 1 is 1.0, and not true."""
    match value:
        case bool() | None | str():
            return type(value).__name__, value
        case list():
            return tuple(map(_key, value))
        case dict():
            return frozenset((name, _key(item)) for name, item in value.items())
        case number:
            return number


def _any_of(validator: Any, branches: list[JSON], value: Any, schema: Any) -> _Findings:
    found: list[ValidationError] = []
    for position, branch in enumerate(branches):
        error = next(validator.descend(value, branch, schema_path=position), None)
        if error is None:
            return
        if len(found) < _PROBLEMS:
            found.append(error)
    yield ValidationError(f"{value!r} is valid for none of the schemas", context=found)


def _one_of(validator: Any, branches: list[JSON], value: Any, schema: Any) -> _Findings:
    yield from _any_of(validator, branches, value, schema)
    valid = sum(islice((1 for branch in branches if _holds(validator, branch, value)), 2))
    if valid > 1:
        yield ValidationError(f"{value!r} is valid for more than one of the schemas")


def _dynamic_reference(validator: Any, demand: Any, value: Any, schema: Any) -> _Findings:
    raise UncheckableError("'$dynamicRef' is not available")
