"""Tools, wire to domain: what the prompt shows, and what may be called. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm_api.api.mapping.generation import refuse, required
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.api.models.tools import (
    AllowedTools,
    FunctionDefinition,
    FunctionReference,
    Tool,
    ToolReference,
    ToolSelection,
)
from llm_api.core.errors import (
    FunctionNotFoundError,
    InvalidRequestError,
    UnsupportedParameterError,
)
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.types import Function
from llm_api.core.llm.types import ToolChoice, ToolSpec


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """`specs` stand in the prompt. Without a `choice` none may be called, and none stands there."""

    specs: tuple[ToolSpec, ...] = ()
    choice: ToolChoice | None = None


def to_server_functions(
    wanted: Literal["all"] | Sequence[str] | None,
    catalog: FunctionCatalog,
    param: str = "server_tools",
) -> tuple[Function, ...]:
    """The server's functions that a request names in `param`. Raises InvalidRequestError."""
    if wanted is None:
        return ()
    if wanted == "all":
        return catalog.functions()
    try:
        return tuple(catalog.get(name) for name in dict.fromkeys(wanted))
    except FunctionNotFoundError as error:
        raise InvalidRequestError(f"'{param}': {error.message}", param=param) from error


def to_tools(request: ChatCompletionRequest, functions: Sequence[Function] = ()) -> OfferedTools:
    """What `tools` and `tool_choice` mean, or the older `functions` and `function_call`.

    The server's own `functions` are offered beside them. Raises InvalidRequestError for what
    contradicts itself, UnsupportedParameterError for tools that are no functions; both name the
    parameter.
    """
    if request.functions is not None or request.function_call is not None:
        return _to_functions(request)
    given = [
        to_spec(_function(tool, f"tools[{i}]"), f"tools[{i}].function")
        for i, tool in enumerate(request.tools or [])
    ]
    specs = distinct_specs([*given, *map(_own_spec, functions)])
    if specs:
        choice = _choice(request, frozenset(spec.name for spec in specs))
        return OfferedTools() if choice is None else OfferedTools(specs, choice)
    if request.tool_choice not in (None, "none", "auto"):
        raise InvalidRequestError(
            "'tool_choice' is only allowed when 'tools' are given.", param="tool_choice"
        )
    return OfferedTools()


def _choice(request: ChatCompletionRequest, names: frozenset[str]) -> ToolChoice | None:
    is_parallel = request.parallel_tool_calls is not False
    match request.tool_choice:
        case "none":
            return None
        case None | "auto":
            return ToolChoice("auto", names, is_parallel)
        case "required":
            return ToolChoice("required", names, is_parallel)
        case ToolSelection(type="function", function=function):
            path = "tool_choice.function"
            return _only(required(function, path).name, names, f"{path}.name")
        case ToolSelection(type="allowed_tools", allowed_tools=given):
            allowed = required(given, "tool_choice.allowed_tools")
            return ToolChoice(allowed.mode, _allowed(allowed, names), is_parallel)
        case ToolSelection(type=type_):
            raise UnsupportedParameterError(
                f"The parameter 'tool_choice.type' is '{type_}': only functions can be called.",
                param="tool_choice.type",
            )


def _to_functions(request: ChatCompletionRequest) -> OfferedTools:
    for name in ("tools", "tool_choice", "server_tools"):
        if getattr(request, name) is not None:
            raise InvalidRequestError(
                f"'functions' and '{name}' cannot both be given; send 'tools'.", param=name
            )
    specs = distinct_specs(
        [to_spec(one, f"functions[{i}]") for i, one in enumerate(request.functions or [])]
    )
    names = frozenset(spec.name for spec in specs)
    if not specs and request.function_call not in (None, "none"):
        raise InvalidRequestError(
            "'function_call' is only allowed when 'functions' are given.", param="function_call"
        )
    if not specs or request.function_call == "none":
        return OfferedTools()
    if isinstance(request.function_call, FunctionReference):
        return OfferedTools(specs, _only(request.function_call.name, names, "function_call.name"))
    return OfferedTools(specs, ToolChoice("auto", names, is_parallel=False))


def distinct_specs(specs: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """All of them. Raises InvalidRequestError where two have one name."""
    names = [spec.name for spec in specs]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise InvalidRequestError(f"Two 'tools' are called '{name}'.", param="tools")
    return tuple(specs)


def to_spec(function: FunctionDefinition, path: str) -> ToolSpec:
    """What is declared at this path of the request."""
    return ToolSpec(
        function.name,
        function.description or "",
        function.parameters or {},
        is_strict=bool(function.strict),
        param=f"{path}.parameters",
    )


def _own_spec(function: Function) -> ToolSpec:
    spec = function.spec
    return ToolSpec(spec.name, spec.description, spec.parameters, param="server_tools")


def _function(tool: Tool, path: str) -> FunctionDefinition:
    _check_type(tool.type, path)
    return required(tool.function, f"{path}.function")


def _name(tool: ToolReference, path: str) -> str:
    _check_type(tool.type, path)
    return required(tool.function, f"{path}.function").name


def _check_type(type_: str, path: str) -> None:
    if type_ != "function":
        refuse(f"{path}.type", f"is '{type_}': only functions can be called.")


def _allowed(allowed: AllowedTools, names: frozenset[str]) -> frozenset[str]:
    path = "tool_choice.allowed_tools.tools"
    chosen = [_name(tool, f"{path}[{i}]") for i, tool in enumerate(allowed.tools)]
    for name in chosen:
        _check_known(name, names, path)
    return frozenset(chosen)


def _only(name: str, names: frozenset[str], path: str) -> ToolChoice:
    _check_known(name, names, path)
    return ToolChoice("required", frozenset({name}), is_parallel=False)


def _check_known(name: str, names: frozenset[str], path: str) -> None:
    if name not in names:
        raise InvalidRequestError(
            f"'{path}' names a function that is not given: '{name}'.", param=path
        )
