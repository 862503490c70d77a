"""What backends with a tool notation of their own share: which tools they offer, and how. Pure."""

from llm_api.core.llm.types import JSON, ChatPrompt, GenerationRequest, ToolSpec


def offered_tools(request: GenerationRequest) -> list[ToolSpec]:
    """The tools that may be called, for a protocol that cannot show one and forbid it."""
    if not isinstance(request.prompt, ChatPrompt) or request.tool_choice is None:
        return []
    return [tool for tool in request.prompt.tools if tool.name in request.tool_choice.allowed]


def input_schema(tool: ToolSpec) -> dict[str, JSON]:
    """The schema of a tool's arguments: that of an object also where none was given."""
    return {"type": "object", "properties": {}, **tool.parameters}
