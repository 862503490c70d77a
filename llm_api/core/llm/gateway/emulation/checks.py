"""What an answer is checked for, and what the model is told of it before and after. Blocks."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, assert_never

from pydantic_core import from_json

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.checking.call_judge import Verdict, make_call_judges, verdicts
from llm_api.core.llm.output.checking.json_validator import JSONValidator
from llm_api.core.llm.output.checking.string_checks import UncheckableError, matches
from llm_api.core.llm.output.schemas.places import refusal
from llm_api.core.llm.types import (
    JSON,
    ChoiceFormat,
    JSONFormat,
    RegexFormat,
    ToolCall,
    ToolSpec,
)

CheckedFormat = JSONFormat | RegexFormat | ChoiceFormat

_FENCE: Final = "```"


class InvalidAnswerError(Exception):
    """What is wrong with an answer, as the model is told.

    A bearable finding breaks nothing that can be enforced.
    """

    def __init__(self, problem: str, *, is_bearable: bool = False) -> None:
        super().__init__(problem)
        self.is_bearable = is_bearable


@dataclass(frozen=True, slots=True)
class FormatCheck:
    """`demand` is said beforehand; `read` gives the part of an answer that was asked for.

    `read` raises InvalidAnswerError.
    """

    demand: str
    read: Callable[[str], str]


def format_check(wanted: CheckedFormat) -> FormatCheck:
    """Raises InvalidRequestError for what cannot be checked."""
    match wanted:
        case JSONFormat(schema):
            validator = JSONValidator(schema, wanted.param)
            said = json.dumps(validator.schema, ensure_ascii=False)
            demand = (
                f"one JSON value, without any other text, that is valid for this schema:\n{said}"
            )
            return FormatCheck(demand, partial(_read_json, validator))
        case ChoiceFormat(choices):
            said = "\n".join(choices)
            demand = f"exactly one of these lines, and no other text:\n{said}"
            return FormatCheck(demand, partial(_read_choice, choices))
        case RegexFormat(pattern):
            demand = f"text that matches this regular expression as a whole:\n{pattern}"
            return FormatCheck(demand, partial(_read_match, _whole(pattern, wanted.param), pattern))
        case other:
            assert_never(other)


class CallCheck:
    """Checks the calls of those tools that are allowed."""

    def __init__(self, tools: Sequence[ToolSpec], allowed: Collection[str]) -> None:
        """Raises InvalidRequestError for parameters that cannot be checked."""
        self._rules = make_call_judges(tool for tool in tools if tool.name in allowed)

    @property
    def unenforced(self) -> tuple[str, ...]:
        """The functions of which a call may be shown that breaks its schema."""
        return tuple(name for name, rules in self._rules.items() if rules.enforced is not None)

    def broken(self, calls: Sequence[ToolCall], *, bears: bool) -> tuple[str, ...]:
        """The functions of which a call breaks its schema where that can be borne, or may.

        Raises InvalidAnswerError for calls that cannot be borne, or where nothing `bears` any that
        can; InvalidRequestError for a schema by which no call can be judged.
        """
        judged = [
            (call.name, self._certain(call.name, verdict))
            for call, verdict in zip(calls, verdicts(self._rules, calls), strict=True)
        ]
        worst_last = sorted(judged, key=lambda pair: not pair[1].is_bearable)
        for name, verdict in reversed(worst_last):
            is_borne = verdict.is_bearable and (bears or not verdict.is_certain)
            if verdict.problem and not is_borne:
                said = f"The arguments of {name} are not valid: {verdict.problem}."
                raise InvalidAnswerError(said, is_bearable=verdict.is_bearable)
        return tuple(dict.fromkeys(name for name, verdict in judged if verdict.problem))

    def _certain(self, name: str, verdict: Verdict) -> Verdict:
        if not verdict.is_certain and not verdict.is_bearable:
            raise refusal("", verdict.problem, self._rules[name].whole.param)
        return verdict


def _json_problem(validator: JSONValidator, text: str) -> str:
    try:
        value: JSON = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        return f"this is no JSON, {error}"
    try:
        return validator.problem(value)
    except UncheckableError as error:
        raise refusal("", str(error), validator.param) from error


def _read_json(validator: JSONValidator, text: str) -> str:
    text = _without_fence(text.strip())
    if problem := _json_problem(validator, text):
        raise InvalidAnswerError(f"The answer is not valid: {problem}.")
    return text


def _read_choice(choices: Sequence[str], text: str) -> str:
    for choice in choices:
        if choice.strip() == text.strip():
            return choice
    raise InvalidAnswerError("The answer is none of the choices.")


def _read_match(whole: str, pattern: str, text: str) -> str:
    for candidate in (text, text.strip()):
        if matches(whole, candidate):
            return candidate
    raise InvalidAnswerError(f"The answer as a whole does not match {pattern}")


def _whole(pattern: str, param: str) -> str:
    whole = rf"\A(?:{pattern})\z"
    try:
        matches(whole, "")
    except UncheckableError as error:
        raise InvalidRequestError(f"'{param}': {error}", param=param) from error
    return whole


def _without_fence(text: str) -> str:
    """The text within a Markdown code block, if it is one."""
    first, _, rest = text.partition("\n")
    if first.startswith(_FENCE) and rest.endswith(_FENCE):
        return rest.removesuffix(_FENCE).strip()
    return text
