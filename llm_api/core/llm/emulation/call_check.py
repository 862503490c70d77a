"""What is wrong with a call, by the schema of its function. Blocks."""

from dataclasses import dataclass

from pydantic_core import from_json

from llm_api.core.llm.emulation.json_patterns import UncheckableError
from llm_api.core.llm.emulation.json_validator import JSONValidator
from llm_api.core.llm.output.schema import argument_schema
from llm_api.core.llm.relaxed_schema import without_unenforced
from llm_api.core.llm.tool_schema import naming, whole_schema
from llm_api.core.llm.types import JSON, ToolSpec


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` is what is wrong, "" if nothing is.

    What `is_bearable` breaks nothing that can be enforced; what is not `is_certain` may be right.
    """

    problem: str = ""
    is_bearable: bool = False
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class CallRules:
    """`whole` judges by the schema. `enforced` judges by what can be enforced of it, None: all."""

    whole: JSONValidator
    enforced: JSONValidator | None = None

    def verdict(self, arguments: str) -> Verdict:
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


def call_rules(tool: ToolSpec) -> CallRules:
    """What judges the calls of a tool that no grammar holds.

    Raises InvalidRequestError, which names the function: for a malformed schema, one that is too
    large, and of a strict tool one that cannot be checked within a bound.
    """
    with naming(tool):
        if tool.is_strict:
            return CallRules(JSONValidator(argument_schema(tool), tool.param))
        whole = whole_schema(tool)
        enforced = without_unenforced(whole)
        judge = JSONValidator(whole, tool.param, is_lenient=True)
        if enforced == whole:
            return CallRules(judge)
        return CallRules(judge, JSONValidator(enforced, tool.param, is_lenient=True))
