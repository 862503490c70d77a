"""What a request demands of its answer, made ready: schemas checked, the grammar compiled.

Refuses what cannot be enforced, and says where: no answer is ever freer than was asked for.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.capabilities import FORMATS
from llm_api.core.llm.json_schema import checked
from llm_api.core.llm.output.dialect import Dialect
from llm_api.core.llm.output.reader import OutputReader
from llm_api.core.llm.output.schema import argument_schema
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    RegexFormat,
    ToolSpec,
)

COMPILE_SECONDS: Final = 4.0
"""What a grammar may take to compile. The compiler's own limits end most of them long before."""

Constraint_co = TypeVar("Constraint_co", covariant=True)


class Compiler(Protocol[Constraint_co]):
    """Turns grammars into what the engine follows. Thread-safe; every method blocks."""

    def compile(self, grammar: str, param: str) -> Constraint_co:
        """Raises InvalidRequestError that names `param`."""
        ...

    def to_lark(self, grammar: str, param: str) -> str:
        """A grammar in either notation as Lark. Raises InvalidRequestError that names `param`."""
        ...

    def check_schema(self, schema: Mapping[str, JSON], param: str) -> None:
        """Raises InvalidRequestError for the deepest part that cannot be enforced."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedOutput(Generic[Constraint_co]):
    """How an answer is to be drawn, None for freely, and read."""

    constraint: Constraint_co | None
    reader: OutputReader


class OutputEnforcer(Generic[Constraint_co]):
    """Prepares the answers of one model."""

    def __init__(
        self,
        dialect: Dialect,
        compiler: Compiler[Constraint_co],
        compile_seconds: float = COMPILE_SECONDS,
    ) -> None:
        self._dialect = dialect
        self._compiler = compiler
        self._compile_seconds = compile_seconds

    @property
    def marks(self) -> frozenset[int]:
        """Control tokens that mean something to a reader: to it they are their texts."""
        return self._dialect.marks_as_text

    async def prepare(
        self, request: GenerationRequest, prompt_text: str
    ) -> PreparedOutput[Constraint_co]:
        """`prompt_text` is what the chat template made of the prompt.

        Raises InvalidRequestError for what cannot be enforced, within a few seconds. A request
        that demands nothing waits for no thread.
        """
        if request.tool_choice is None and request.output_format is None:
            return PreparedOutput(None, self._dialect.plan(request, prompt_text).reader)
        try:
            async with asyncio.timeout(self._compile_seconds):
                return await asyncio.to_thread(self._prepare, request, prompt_text)
        except TimeoutError as error:
            param = _param(request)
            raise InvalidRequestError(
                f"'{param}' cannot be enforced: it takes too long to compile; make it smaller.",
                param=param,
            ) from error

    def _prepare(
        self, request: GenerationRequest, prompt_text: str
    ) -> PreparedOutput[Constraint_co]:
        plan = self._dialect.plan(self._checked(request), prompt_text)
        if plan.grammar is None:
            return PreparedOutput(None, plan.reader)
        constraint = self._compiler.compile(plan.grammar, _param(request))
        return PreparedOutput(constraint, plan.reader)

    def _checked(self, request: GenerationRequest) -> GenerationRequest:
        """The request with schemas that can be enforced, and its grammar in Lark."""
        match request.output_format:
            case JSONFormat(schema):
                checked_format = JSONFormat(self._checked_schema(schema, _param(request)))
                request = replace(request, output_format=checked_format)
            case GrammarFormat(grammar):
                lark = self._compiler.to_lark(grammar, _param(request))
                request = replace(request, output_format=GrammarFormat(lark))
            case RegexFormat() | ChoiceFormat() | None:
                pass
        if request.tool_choice is not None and isinstance(request.prompt, ChatPrompt):
            tools = tuple(
                self._checked_tool(tool, f"tools[{position}].function.parameters")
                for position, tool in enumerate(request.prompt.tools)
            )
            request = replace(request, prompt=replace(request.prompt, tools=tools))
        return request

    def _checked_tool(self, tool: ToolSpec, param: str) -> ToolSpec:
        return replace(tool, parameters=self._checked_schema(argument_schema(tool), param))

    def _checked_schema(self, schema: Mapping[str, JSON], param: str) -> dict[str, JSON]:
        enforceable = checked(schema, param)
        self._compiler.check_schema(enforceable, param)
        return enforceable


def _param(request: GenerationRequest) -> str:
    """The parameter that the grammar of this request comes from."""
    output_format = request.output_format
    return "tools" if output_format is None else FORMATS[type(output_format)][1]
