"""What is wrong with a call, by the schema of its function. Blocks."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.output.checking.json_validator import JSONValidator
from llm_api.core.llm.output.checking.string_checks import UncheckableError
from llm_api.core.llm.output.schemas.relaxed import without_unenforced
from llm_api.core.llm.output.schemas.tool_schema import argument_schema, naming, whole_schema
from llm_api.core.llm.types import JSON, ToolCall, ToolSpec

ANSWER_SECONDS: Final = 2.0
"""CPU time to check all calls of one answer."""

TOOLS_SECONDS: Final = 4.0
"""CPU time to prepare the judges of all tools of one request."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` is what is wrong with a call, "" if nothing is.

    A call that `is_bearable` breaks nothing that can be enforced. Without `is_certain`, the check
    gave up, and the call may be right.
    """

    problem: str = ""
    is_bearable: bool = False
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class CallJudge:
    """Judges the calls of one function.

    `whole` judges by the schema, `enforced` by what of it can be enforced; None where that is all.
    """

    whole: JSONValidator
    enforced: JSONValidator | None = None

    def verdict(self, arguments: str) -> Verdict:
        """What is wrong with the arguments of a call, a JSON text. Blocks, but not long."""
        try:
            value: JSON = from_json(arguments, allow_inf_nan=False)
        except ValueError as error:
            return Verdict(f"this is no JSON, {error}")
        try:
            problem = self.whole.problem(value)
        except UncheckableError as error:
            return Verdict(str(error), self._is_bearable(value), is_certain=False)
        return Verdict(problem, bool(problem) and self._is_bearable(value))

    def _is_bearable(self, value: JSON) -> bool:
        try:
            return self.enforced is not None and not self.enforced.problem(value)
        except UncheckableError:
            return False


def verdicts(judges: Mapping[str, CallJudge], calls: Sequence[ToolCall]) -> list[Verdict]:
    """A verdict for each call, in order. Once the time is used up, one that is not certain."""
    ends_at = time.thread_time() + ANSWER_SECONDS
    return [
        judges[call.name].verdict(call.arguments)
        if time.thread_time() < ends_at
        else Verdict("it takes too long to check", is_certain=False)
        for call in calls
    ]


def make_call_judges(tools: Iterable[ToolSpec]) -> dict[str, CallJudge]:
    """The judge of each tool's calls, by its name. Raises InvalidRequestError."""
    ends_at = time.thread_time() + TOOLS_SECONDS
    judges: dict[str, CallJudge] = {}
    for tool in tools:
        if time.thread_time() > ends_at:
            raise InvalidRequestError(
                "The schemas of all functions take too long to check; send less of them.",
                param=tool.param,
            )
        judges[tool.name] = make_call_judge(tool)
    return judges


def make_call_judge(tool: ToolSpec) -> CallJudge:
    """The judge of a tool's calls where no grammar holds them.

    Raises InvalidRequestError, which names the function: for a malformed schema, one that is too
    large, and of a strict tool one that cannot be checked within a bound.
    """
    with naming(tool):
        if tool.is_strict:
            return CallJudge(JSONValidator(argument_schema(tool), tool.param))
        whole = whole_schema(tool)
        enforced = without_unenforced(whole)
        judge = JSONValidator(whole, tool.param, is_lenient=True)
        if enforced == whole:
            return CallJudge(judge)
        return CallJudge(judge, JSONValidator(enforced, tool.param, is_lenient=True))
