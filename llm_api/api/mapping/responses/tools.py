"""Responses, wire to domain: which tools the model is offered, and what its calls are called. Pure.

A model knows functions alone, each by one name of letters, digits, `_` and `-`. So a tool in a
namespace becomes `<namespace>__<name>`, a custom tool a function of one text; on the way back a
call gets its own name again.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, Protocol, TypeAlias, assert_never

from llm_api.api.mapping.generation import refuse, required
from llm_api.api.mapping.tools import OfferedTools
from llm_api.api.models.file_search import FileSearchTool
from llm_api.api.models.responses.parameters import PromptParameters
from llm_api.api.models.responses.tools import (
    HOSTED,
    ChosenTool,
    CustomTool,
    FunctionTool,
    HostedTool,
    MCPTool,
    NamedTool,
    NamespaceTool,
    ServerFunctionTool,
    Tool,
    WireToolChoice,
)
from llm_api.core.errors import InvalidRequestError
from llm_api.core.functions.types import Function
from llm_api.core.llm.output.regular_lark import NotRegularError, lark_to_regex
from llm_api.core.llm.types import JSON, ToolCall, ToolChoice, ToolSpec
from llm_api.core.rag.answering.searching import TOOL

MAX_NAME: Final = 64
_DIGEST: Final = 8

Kind: TypeAlias = Literal["function", "custom", "llm_api", "mcp", "approval", "file_search"]
"""`approval` is a tool of an MCP server whose calls wait for leave."""


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool as the request names it. `spec` is what the model is shown."""

    kind: Kind
    name: str
    namespace: str | None
    spec: ToolSpec


class MCPFunctionOf(Function, Protocol):
    """A function of an MCP server, there called `tool`."""

    @property
    def tool(self) -> str: ...


@dataclass(frozen=True, slots=True)
class MCPOffer:
    """What the MCP server `label` offers; calls of the tools `waiting` wait for leave.

    The caller of its functions calls `aclose` afterwards, which is idempotent.
    """

    label: str
    functions: Sequence[MCPFunctionOf]
    waiting: frozenset[str]
    aclose: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """What a request offers. `ignored` are the types of tools that nobody here runs.

    `functions` are run here as soon as they are called.
    """

    tools: Mapping[str, OfferedTool] = field(default_factory=dict)
    choice: ToolChoice | None = None
    wire: list[dict[str, JSON]] = field(default_factory=list)
    ignored: tuple[str, ...] = ()
    listed: Sequence[MCPOffer] = ()
    functions: Sequence[Function] = ()

    def approvable(self, calls: Sequence[ToolCall]) -> list[Function]:
        """The functions of calls that were given leave. Raises InvalidRequestError."""
        known = {one.spec.name: one for server in self.listed for one in server.functions}
        for call in calls:
            if call.name not in known:
                raise InvalidRequestError(
                    f"The call '{call.id}' was given leave, and no server among 'tools' has its"
                    " tool any more.",
                    param="tools",
                )
        return [known[call.name] for call in calls]

    @property
    def offered(self) -> OfferedTools:
        """What the generation is given: no tool where none may be called."""
        if self.choice is None:
            return OfferedTools()
        return OfferedTools(tuple(one.spec for one in self.tools.values()), self.choice)


def flat_name(name: str, namespace: str | None) -> str:
    """What the model knows a tool by. Long names are cut, and told apart by a hash."""
    if namespace is None:
        return name
    flat = f"{namespace}__{name}"
    if len(flat) <= MAX_NAME:
        return flat
    digest = sha256(flat.encode()).hexdigest()[:_DIGEST]
    return f"{flat[: MAX_NAME - _DIGEST - 1]}_{digest}"


def server_functions(request: PromptParameters) -> list[str]:
    """The names of this server's functions that a request asks for."""
    return [tool.name for tool in request.tools or [] if isinstance(tool, ServerFunctionTool)]


def to_tool_offer(
    request: PromptParameters,
    functions: Sequence[Function] = (),
    listed: Sequence[MCPOffer] = (),
) -> ToolOffer:
    """What `tools` and `tool_choice` mean; `functions` are this server's own among them.

    `listed` is what the MCP servers among them offer, in their order.

    Raises InvalidRequestError for what contradicts itself, UnsupportedParameterError for a tool
    that cannot be offered; both name the parameter.
    """
    own = {function.spec.name: function for function in functions}
    given = request.tools or []
    tools: dict[str, OfferedTool] = {}
    servers = iter(listed)
    for index, tool in enumerate(given):
        path = f"tools[{index}]"
        several = (
            _mcp_tools(next(servers), path)
            if isinstance(tool, MCPTool)
            else _offered(tool, path, own)
        )
        for one in several:
            if one.spec.name in tools:
                raise InvalidRequestError(
                    f"Two 'tools' are called '{one.spec.name}'.", param=f"tools[{index}]"
                )
            tools[one.spec.name] = one
    ignored = tuple(tool.type for tool in given if isinstance(tool, HostedTool))
    choice = _Choosing(tools, ignored, request.parallel_tool_calls is not False).choice(
        request.tool_choice
    )
    wire = [_wire(tool) for tool in given if not isinstance(tool, HostedTool)]
    free = [one for server in listed for one in server.functions if one.tool not in server.waiting]
    return ToolOffer(
        tools, choice, wire, tuple(dict.fromkeys(ignored)), listed, [*functions, *free]
    )


def _mcp_tools(server: MCPOffer, path: str) -> Iterator[OfferedTool]:
    for function in server.functions:
        spec = function.spec
        offered = ToolSpec(spec.name, spec.description, spec.parameters, param=path)
        kind: Kind = "approval" if function.tool in server.waiting else "mcp"
        yield OfferedTool(kind, function.tool, server.label, offered)


def _offered(
    tool: FunctionTool
    | CustomTool
    | NamespaceTool
    | FileSearchTool
    | ServerFunctionTool
    | HostedTool,
    path: str,
    own: Mapping[str, Function],
) -> Iterator[OfferedTool]:
    match tool:
        case FunctionTool() | CustomTool():
            yield _client_tool(tool, path, None)
        case NamespaceTool():
            for index, inner in enumerate(tool.tools):
                yield _client_tool(inner, f"{path}.tools[{index}]", tool.name)
        case FileSearchTool() if TOOL in own:
            yield OfferedTool("file_search", TOOL, None, _spec(own[TOOL], path))
        case ServerFunctionTool(name=name) if name in own:
            yield OfferedTool("llm_api", name, None, _spec(own[name], path))
        case FileSearchTool() | ServerFunctionTool():
            pass  # none of them may be called
        case HostedTool():
            if tool.type not in HOSTED:
                refuse(f"{path}.type", f"is '{tool.type}': no such tool is known.")
        case other:
            assert_never(other)


def _spec(function: Function, path: str) -> ToolSpec:
    spec = function.spec
    return ToolSpec(spec.name, spec.description, spec.parameters, param=path)


def _client_tool(tool: FunctionTool | CustomTool, path: str, namespace: str | None) -> OfferedTool:
    if isinstance(tool, CustomTool):
        return _custom_tool(tool, path, namespace)
    nested = tool.function or tool
    name = required(nested.name, f"{path}.name")
    spec = ToolSpec(
        flat_name(name, namespace),
        nested.description or "",
        nested.parameters or {},
        is_strict=bool(nested.strict),
        param=f"{path}.parameters" if tool.function is None else f"{path}.function.parameters",
    )
    return OfferedTool("function", name, namespace, spec)


def _custom_tool(tool: CustomTool, path: str, namespace: str | None) -> OfferedTool:
    """A function of one text. What is said of the text by a grammar, it is held to."""
    text: dict[str, JSON] = {"type": "string"}
    description = tool.description or ""
    held = tool.format is not None and tool.format.type == "grammar"
    if tool.format is not None and held:
        definition = required(tool.format.definition, f"{path}.format.definition")
        syntax = required(tool.format.syntax, f"{path}.format.syntax")
        text["pattern"] = f"^(?:{_regex(syntax, definition, f'{path}.format.definition')})$"
        description += f"\n\nThe input follows this grammar ({syntax}):\n{definition}"
    schema: dict[str, JSON] = {
        "type": "object",
        "properties": {"input": text},
        "required": ["input"],
        "additionalProperties": False,
    }
    spec = ToolSpec(
        flat_name(tool.name, namespace), description, schema, held, f"{path}.format.definition"
    )
    return OfferedTool("custom", tool.name, namespace, spec)


def _regex(syntax: str, definition: str, param: str) -> str:
    """A regular expression for what a grammar allows. Raises InvalidRequestError."""
    if syntax == "regex":
        return definition
    try:
        return lark_to_regex(definition)
    except NotRegularError as error:
        raise InvalidRequestError(f"'{param}' cannot be enforced: {error}.", param=param) from error


def _wire(tool: Tool) -> dict[str, Any]:
    """The tool as the response repeats it: a function always in the flat shape."""
    if isinstance(tool, FunctionTool):
        nested = tool.function or tool
        return {
            "type": "function",
            "name": nested.name,
            "description": nested.description,
            "parameters": nested.parameters,
            "strict": nested.strict,
        }
    secret = {"authorization", "headers"} if isinstance(tool, MCPTool) else None
    return tool.model_dump(exclude_unset=True, exclude=secret)


@dataclass(frozen=True, slots=True)
class _Choosing:
    """Reads `tool_choice` for these tools."""

    tools: Mapping[str, OfferedTool]
    ignored: Sequence[str]
    is_parallel: bool

    def choice(self, wanted: WireToolChoice | None) -> ToolChoice | None:
        names = frozenset(self.tools)
        match wanted:
            case "none":
                return None
            case None | "auto":
                return ToolChoice("auto", names, self.is_parallel) if names else None
            case "required":
                self._check_any()
                return ToolChoice("required", names, self.is_parallel)
            case ChosenTool(type="allowed_tools"):
                return self._allowed(wanted)
            case ChosenTool(type="mcp"):
                return ToolChoice("required", self._of_server(wanted, "tool_choice"), False)
            case ChosenTool():
                name = self._named(wanted, "tool_choice")
                return ToolChoice("required", frozenset({name}), is_parallel=False)

    def _allowed(self, selection: ChosenTool) -> ToolChoice | None:
        mode: Literal["auto", "required"] = required(selection.mode, "tool_choice.mode")
        references = required(selection.tools, "tool_choice.tools")
        names: frozenset[str] = frozenset()
        for index, one in enumerate(references):
            path = f"tool_choice.tools[{index}]"
            if one.type == "mcp":
                names |= self._of_server(one, path)
            elif mode == "required" or one.type not in HOSTED:
                names |= {self._named(one, path)}
        return ToolChoice(mode, names, self.is_parallel) if names else None

    def _of_server(self, reference: NamedTool, path: str) -> frozenset[str]:
        """The tools of an MCP server, or the one that is named."""
        label = required(reference.server_label, f"{path}.server_label")
        names = frozenset(
            flat
            for flat, tool in self.tools.items()
            if tool.kind in ("mcp", "approval")
            and tool.namespace == label
            and reference.name in (None, tool.name)
        )
        if not names:
            raise InvalidRequestError(f"'{path}' names a tool that is not given.", param=path)
        return names

    def _named(self, reference: NamedTool, path: str) -> str:
        """The model's name of a tool. Raises InvalidRequestError where it is not offered."""
        if reference.type in HOSTED:
            raise InvalidRequestError(
                f"'{path}' demands the tool '{reference.type}', which nobody here runs.",
                param=path,
            )
        nested = reference.function or reference
        is_search = reference.type == TOOL
        name = TOOL if is_search else required(nested.name, f"{path}.name")
        for flat, tool in self.tools.items():
            if (tool.kind, tool.name, tool.namespace) == (
                reference.type,
                name,
                reference.namespace,
            ):
                return flat
        raise InvalidRequestError(
            f"'{path}' names a tool that is not given: '{name}'.", param=f"{path}.name"
        )

    def _check_any(self) -> None:
        if self.tools:
            return
        why = (
            f"nobody here runs {', '.join(self.ignored)}"
            if self.ignored
            else "no 'tools' are given"
        )
        raise InvalidRequestError(f"'tool_choice' demands a call, and {why}.", param="tool_choice")
