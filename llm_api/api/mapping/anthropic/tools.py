"""Messages, wire to domain: which tools the model is offered, and which it may call. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from llm_api.api.mapping.generation import refuse, required
from llm_api.api.mapping.tools import OfferedTools
from llm_api.api.models.anthropic.parameters import PromptParameters
from llm_api.api.models.anthropic.tools import (
    KNOWN_CLIENT_TOOLS,
    CustomTool,
    NamedTool,
    SearchTool,
)
from llm_api.core.errors import InvalidRequestError
from llm_api.core.functions.types import Function
from llm_api.core.llm.types import ToolChoice, ToolSpec

_DATED: Final = re.compile(r"([a-z_]+)_[0-9]{8}")
_UNDATED: Final = frozenset({"mcp_toolset", "tool_search_tool_regex", "tool_search_tool_bm25"})


@dataclass(frozen=True, slots=True)
class MessageTools:
    """`ignored` are the types of tools that nobody here runs."""

    offered: OfferedTools
    ignored: tuple[str, ...] = ()


def to_message_tools(body: PromptParameters, functions: Sequence[Function] = ()) -> MessageTools:
    """What `tools` and `tool_choice` mean; the server's own `functions` are offered beside them.

    Raises InvalidRequestError for what contradicts itself, UnsupportedParameterError for a tool
    that nobody knows; both name the parameter.
    """
    specs: dict[str, ToolSpec] = {}
    ignored: list[str] = []
    for index, tool in enumerate(body.tools or []):
        if isinstance(tool, SearchTool):
            continue  # it is one of `functions`
        spec = _spec(tool, f"tools[{index}]")
        if spec is None:
            ignored.append(str(tool.type))
        else:
            _add(specs, spec)
    for own in functions:
        given = own.spec
        _add(specs, ToolSpec(given.name, given.description, given.parameters, param="server_tools"))
    choice = _choice(body, frozenset(specs), ignored)
    offered = OfferedTools() if choice is None else OfferedTools(tuple(specs.values()), choice)
    return MessageTools(offered, tuple(dict.fromkeys(ignored)))


def _add(specs: dict[str, ToolSpec], spec: ToolSpec) -> None:
    if spec.name in specs:
        raise InvalidRequestError(f"Two 'tools' are called '{spec.name}'.", param="tools")
    specs[spec.name] = spec


def _spec(tool: CustomTool | NamedTool, path: str) -> ToolSpec | None:
    """What the model is shown; None for a tool that runs on Anthropic's servers, or needs eyes."""
    if isinstance(tool, CustomTool):
        return ToolSpec(
            tool.name,
            tool.description or "",
            tool.input_schema,
            is_strict=bool(tool.strict),
            param=f"{path}.input_schema",
        )
    dated = _DATED.fullmatch(tool.type)
    if dated is None and tool.type not in _UNDATED:
        refuse(f"{path}.type", f"is '{tool.type}': no such tool is known.")
    known = KNOWN_CLIENT_TOOLS.get(dated[1]) if dated else None
    if known is None:
        return None
    return ToolSpec(required(tool.name, f"{path}.name"), *known, param=path)


def _choice(
    body: PromptParameters, names: frozenset[str], ignored: Sequence[str]
) -> ToolChoice | None:
    wanted = body.tool_choice
    is_parallel = wanted is None or not wanted.disable_parallel_tool_use
    kind: Literal["auto", "any", "tool", "none"] = "auto" if wanted is None else wanted.type
    match kind:
        case "none":
            return None
        case "auto":
            return ToolChoice("auto", names, is_parallel) if names else None
        case "any":
            if not names:
                why = f"nobody here runs {', '.join(ignored)}" if ignored else "there are none"
                raise InvalidRequestError(
                    f"'tool_choice' demands a call of one of the 'tools', and {why}.",
                    param="tool_choice",
                )
            return ToolChoice("required", names, is_parallel)
        case "tool":
            name = required(wanted.name if wanted else None, "tool_choice.name")
            if name not in names:
                raise InvalidRequestError(
                    f"'tool_choice.name' names a tool that is not given: '{name}'.",
                    param="tool_choice.name",
                )
            return ToolChoice("required", frozenset({name}), is_parallel=False)
