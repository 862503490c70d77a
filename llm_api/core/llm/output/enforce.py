"""Prepares what a request demands of its answer: schemas checked, tools relaxed, grammar compiled.

Refuses what cannot be enforced, and says where: no answer is ever freer than was asked for. The one
exception are tools that are not strict: what cannot be enforced of them, the caller has to check.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from llm_api.core.errors import InvalidRequestError, OverloadedError
from llm_api.core.llm.output.dialect import Dialect
from llm_api.core.llm.output.format_size import check_format_size
from llm_api.core.llm.output.reader import OutputReader
from llm_api.core.llm.output.schemas.enforceable import enforceable
from llm_api.core.llm.output.schemas.relaxed import relaxed
from llm_api.core.llm.output.schemas.tool_schema import argument_schema, naming, whole_schema
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
from llm_api.core.utils.work_threads import WorkThreads

if TYPE_CHECKING:
    from llm_api.core.llm.output.checking.call_judge import CallJudge

COMPILE_SECONDS: Final = 4.0
"""Wall-clock bound on waiting for a thread, and again on compiling. The compiler's own limits end
the worst grammar after half a second of CPU time: so long a thread may go on after a refusal."""

CLOSING_SECONDS: Final = 2.0

MAX_COMPILING: Final = 4
MAX_COMPILING_PER_SCOPE: Final = 2

MAX_GRAMMAR_CHARACTERS: Final = 512 * 1024
"""Size of the grammar of one answer, which contains the schemas of its tools."""

Constraint_co = TypeVar("Constraint_co", covariant=True)


class Compiler(Protocol[Constraint_co]):
    """Turns grammars into what the engine follows. Thread-safe; every method blocks."""

    def check_schema(self, schema: Mapping[str, JSON], param: str) -> None:
        """Raises InvalidRequestError for the deepest part that cannot be enforced."""
        ...

    def why_refused(self, schema: JSON) -> str:
        """Why a schema as a whole cannot be enforced; "" where it can."""
        ...

    def compile(self, grammar: str, param: str) -> Constraint_co:
        """Raises InvalidRequestError that names `param`."""
        ...

    def to_lark(self, grammar: str, param: str) -> str:
        """A grammar in either notation as Lark. Raises InvalidRequestError that names `param`."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedOutput(Generic[Constraint_co]):
    """How an answer is drawn, `constraint` None for freely, and read.

    `call_judges` judge calls, by the function's name, where a schema could not be enforced whole.
    """

    constraint: Constraint_co | None
    reader: OutputReader
    call_judges: Mapping[str, "CallJudge"] = field(default_factory=dict)


class OutputEnforcer(Generic[Constraint_co]):
    """Prepares the answers of one model."""

    def __init__(
        self,
        dialect: Dialect,
        compiler: Compiler[Constraint_co],
        compile_seconds: float = COMPILE_SECONDS,
        *,
        stack_bytes: int = 0,
    ) -> None:
        """`stack_bytes` is the stack that a thread needs in which `compiler` works."""
        self._dialect = dialect
        self._compiler = compiler
        self._compile_seconds = compile_seconds
        self._threads = WorkThreads(
            MAX_COMPILING, per_owner=MAX_COMPILING_PER_SCOPE, stack_bytes=stack_bytes
        )

    @property
    def marks(self) -> frozenset[int]:
        """Control tokens that mean something to a reader: to it they are their texts."""
        return self._dialect.marks_as_text

    def empty_thought(self, prompt_text: str) -> str:
        """As `Dialect.empty_thought`."""
        return self._dialect.empty_thought(prompt_text)

    async def prepare(
        self, request: GenerationRequest, prompt_text: str
    ) -> PreparedOutput[Constraint_co]:
        """`prompt_text` is what the chat template made of the prompt.

        Raises InvalidRequestError for what cannot be enforced, OverloadedError where too many of
        the scope, or of all, are being prepared; both within a few seconds. A request that demands
        nothing waits for no thread.
        """
        demands = (request.tool_choice, request.output_format)
        if demands == (None, None) and not request.is_prose:
            return PreparedOutput(None, self._dialect.plan(request, prompt_text).reader)
        if request.output_format is not None:
            check_format_size(request.output_format)
        seconds = self._compile_seconds
        work = partial(
            _Preparing(self._dialect, self._compiler, seconds).prepare, request, prompt_text
        )
        try:
            async with asyncio.timeout(seconds):
                preparing = await self._threads.start(work, request.context.scope)
        except TimeoutError as error:
            raise OverloadedError(
                "Other grammars and schemas are being compiled; try again later.",
                retry_after_seconds=seconds,
            ) from error
        try:
            async with asyncio.timeout(seconds):
                return await preparing
        except TimeoutError as error:
            raise _too_slow(request) from error

    async def aclose(self) -> None:
        """Wait up to CLOSING_SECONDS for compilations under way."""
        await self._threads.aclose(CLOSING_SECONDS)


class _Preparing(Generic[Constraint_co]):
    """Prepares one answer, on a thread. Looks at the clock before each tool."""

    def __init__(self, dialect: Dialect, compiler: Compiler[Constraint_co], seconds: float) -> None:
        self._dialect = dialect
        self._compiler = compiler
        self._ends_at = time.monotonic() + seconds

    def prepare(
        self, request: GenerationRequest, prompt_text: str
    ) -> PreparedOutput[Constraint_co]:
        """Raises InvalidRequestError."""
        judges: dict[str, CallJudge] = {}
        plan = self._dialect.plan(self._checked(request, judges), prompt_text)
        if plan.grammar is None:
            return PreparedOutput(None, plan.reader)
        param = _param(request)
        if len(plan.grammar) > MAX_GRAMMAR_CHARACTERS:
            raise InvalidRequestError(
                f"'{param}' cannot be enforced: it is too large; send less of it.", param=param
            )
        constraint = self._compiler.compile(plan.grammar, param)
        return PreparedOutput(constraint, plan.reader, judges)

    def _checked(
        self, request: GenerationRequest, judges: dict[str, "CallJudge"]
    ) -> GenerationRequest:
        """The request with schemas that can be enforced, and its grammar in Lark.

        Adds to `judges` a check of each function whose calls the grammar does not hold to all of
        its schema.
        """
        match request.output_format:
            case JSONFormat(schema):
                checked_format = JSONFormat(_enforced(schema, _param(request), self._compiler))
                request = replace(request, output_format=checked_format)
            case GrammarFormat(grammar):
                lark = self._compiler.to_lark(grammar, _param(request))
                request = replace(request, output_format=GrammarFormat(lark))
            case RegexFormat() | ChoiceFormat() | None:
                pass
        if request.tool_choice is not None and isinstance(request.prompt, ChatPrompt):
            tools = tuple(
                self._checked_tool(tool, request, judges) for tool in request.prompt.tools
            )
            request = replace(request, prompt=replace(request.prompt, tools=tools))
        return request

    def _checked_tool(
        self, tool: ToolSpec, request: GenerationRequest, judges: dict[str, "CallJudge"]
    ) -> ToolSpec:
        if time.monotonic() > self._ends_at:
            raise _too_slow(request)
        enforced, judge = enforceable_tool(tool, self._compiler)
        if judge is not None:
            judges[tool.name] = judge
        return enforced


def _enforced(
    schema: Mapping[str, JSON], param: str, compiler: Compiler[object]
) -> dict[str, JSON]:
    """A schema all of which can be enforced. Raises InvalidRequestError."""
    enforced = enforceable(schema, param)
    compiler.check_schema(enforced, param)
    return enforced


def _param(request: GenerationRequest) -> str:
    """The parameter that the grammar of this request comes from."""
    if request.output_format is not None:
        return request.output_format.param
    tools = request.prompt.tools if isinstance(request.prompt, ChatPrompt) else ()
    brought_by = {tool.param.partition("[")[0] for tool in tools}
    return brought_by.pop() if len(brought_by) == 1 else "tools"


def _too_slow(request: GenerationRequest) -> InvalidRequestError:
    param = _param(request)
    return InvalidRequestError(
        f"'{param}' cannot be enforced: it takes too long to compile; make it smaller.",
        param=param,
    )


def enforceable_tool(
    tool: ToolSpec, compiler: Compiler[object]
) -> tuple[ToolSpec, "CallJudge | None"]:
    """The tool with parameters that can be enforced, and the judge of its calls by all of them.

    None where nothing is left to judge. Raises InvalidRequestError, which names the function: for a
    malformed schema, one that is too large, and of a strict tool one that cannot be enforced.
    """
    with naming(tool):
        return _strict(tool, compiler) if tool.is_strict else _lenient(tool, compiler)


def _strict(tool: ToolSpec, compiler: Compiler[object]) -> tuple[ToolSpec, None]:
    schema = _enforced(argument_schema(tool), tool.param, compiler)
    return replace(tool, parameters=schema), None


def _lenient(tool: ToolSpec, compiler: Compiler[object]) -> tuple[ToolSpec, "CallJudge | None"]:
    whole = whole_schema(tool)

    def refuses(schema: dict[str, JSON]) -> bool:
        try:
            return bool(compiler.why_refused(enforceable(schema, tool.param)))
        except InvalidRequestError:
            return True

    held = relaxed(whole, refuses)
    enforced = replace(tool, parameters=enforceable(held, tool.param))
    return enforced, None if held is whole else _judge(whole, tool.param)


def _judge(schema: Mapping[str, JSON], param: str) -> "CallJudge":
    # The validator's libraries take a tenth of a second to import: only for those who use them.
    from llm_api.core.llm.output.checking.call_judge import CallJudge  # noqa: PLC0415
    from llm_api.core.llm.output.checking.json_validator import JSONValidator  # noqa: PLC0415

    return CallJudge(JSONValidator(schema, param, is_lenient=True))
