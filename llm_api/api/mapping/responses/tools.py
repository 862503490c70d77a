"""Responses, wire to domain: which tools the model is offered, and what its calls are called. Pure.

A model knows functions alone, each by one name of letters, digits, `_` and `-`. So a tool in a
namespace becomes `<namespace>__<name>`, a custom tool a function of one text; on the way back a
call gets its own name again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias, assert_never

from llm_api.api.mapping.generation import refuse, required
from llm_api.api.mapping.tools import OfferedTools
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
from llm_api.core.llm.types import JSON, ToolChoice, ToolSpec

MAX_NAME: Final = 64
_DIGEST: Final = 8

Kind: TypeAlias = Literal["function", "custom", "llm_api"]


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool as the request names it. `spec` is what the model is shown."""

    kind: Kind
    name: str
    namespace: str | None
    spec: ToolSpec


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """What a request offers. `ignored` are the types of tools that nobody here runs."""

    tools: Mapping[str, OfferedTool] = field(default_factory=dict)
    choice: ToolChoice | None = None
    wire: list[dict[str, JSON]] = field(default_factory=list)
    ignored: tuple[str, ...] = ()

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


def to_tool_offer(request: PromptParameters, functions: Sequence[Function] = ()) -> ToolOffer:
    """What `tools` and `tool_choice` mean; `functions` are this server's own among them.

    Raises InvalidRequestError for what contradicts itself, UnsupportedParameterError for a tool
    that cannot be offered; both name the parameter.
    """
    own = {function.spec.name: function for function in functions}
    given = request.tools or []
    tools: dict[str, OfferedTool] = {}
    for index, tool in enumerate(given):
        for one in _offered(tool, f"tools[{index}]", own):
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
    return ToolOffer(tools, choice, wire, tuple(dict.fromkeys(ignored)))


def _offered(tool: Tool, path: str, own: Mapping[str, Function]) -> Iterator[OfferedTool]:
    match tool:
        case FunctionTool() | CustomTool():
            yield _client_tool(tool, path, None)
        case NamespaceTool():
            for index, inner in enumerate(tool.tools):
                yield _client_tool(inner, f"{path}.tools[{index}]", tool.name)
        case ServerFunctionTool(name=name):
            if name in own:
                spec = own[name].spec
                offered = ToolSpec(name, spec.description, spec.parameters, param=path)
                yield OfferedTool("llm_api", name, None, offered)
        case MCPTool():
            refuse(f"{path}.type", "is 'mcp': this server calls no MCP server for its clients.")
        case HostedTool():
            if tool.type not in HOSTED:
                refuse(f"{path}.type", f"is '{tool.type}': no such tool is known.")
        case other:
            assert_never(other)


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
    return tool.model_dump(exclude_unset=True)


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
            case ChosenTool():
                name = self._named(wanted, "tool_choice")
                return ToolChoice("required", frozenset({name}), is_parallel=False)

    def _allowed(self, selection: ChosenTool) -> ToolChoice | None:
        mode: Literal["auto", "required"] = required(selection.mode, "tool_choice.mode")
        references = required(selection.tools, "tool_choice.tools")
        names = frozenset(
            self._named(one, f"tool_choice.tools[{index}]")
            for index, one in enumerate(references)
            if mode == "required" or one.type not in HOSTED
        )
        return ToolChoice(mode, names, self.is_parallel) if names else None

    def _named(self, reference: NamedTool, path: str) -> str:
        """The model's name of a tool. Raises InvalidRequestError where it is not offered."""
        if reference.type in HOSTED:
            raise InvalidRequestError(
                f"'{path}' demands the tool '{reference.type}', which nobody here runs.",
                param=path,
            )
        nested = reference.function or reference
        name = required(nested.name, f"{path}.name")
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
