"""What an MCP tool gave back, as JSON text for a model. Pure."""

from collections.abc import Sequence
from typing import Any, Final, assert_never

from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic_core import from_json, to_json

from llm_api.core.errors import FunctionFailedError

MAX_ERROR_CHARACTERS: Final = 2000


def to_json_text(result: CallToolResult) -> str:
    """The structured content where there is one, else the text, else a list of what came.

    A text that is itself a JSON object or list stays as it is. Content that is no text, such as an
    image, is described and left out: a model that reads text has no use for megabytes of base64.
    Raises FunctionFailedError for what the tool calls an error.
    """
    parts = [_part(block) for block in result.content]
    texts = [part for part in parts if isinstance(part, str)]
    if result.is_error:
        raise FunctionFailedError(bounded("\n".join(texts) or "The tool failed and says no more."))
    if result.structured_content is not None:
        return to_json(result.structured_content).decode()
    if len(texts) < len(parts):
        return to_json(parts).decode()
    return _joined(texts)


def bounded(text: str) -> str:
    """A message from the other side, no longer than a model should have to read."""
    if len(text) <= MAX_ERROR_CHARACTERS:
        return text
    return f"{text[: MAX_ERROR_CHARACTERS - 1]}…"


def _joined(texts: Sequence[str]) -> str:
    text = "\n".join(texts)
    return text if _is_json_container(text) else to_json(text).decode()


def _is_json_container(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError:
        return False
    return True


def _part(block: ContentBlock) -> str | dict[str, Any]:
    match block:
        case TextContent():
            return block.text
        case ImageContent() | AudioContent():
            return _binary(block.type, block.mime_type, block.data)
        case ResourceLink():
            return {"type": "resource_link", "name": block.name, "uri": block.uri}
        case EmbeddedResource():
            return _resource(block.resource)
        case _:
            assert_never(block)


def _resource(resource: TextResourceContents | BlobResourceContents) -> dict[str, Any]:
    if isinstance(resource, TextResourceContents):
        return {"type": "resource", "uri": resource.uri, "text": resource.text}
    return {"uri": resource.uri, **_binary("resource", resource.mime_type, resource.blob)}


def _binary(kind: str, mime_type: str | None, base64: str) -> dict[str, Any]:
    return {"type": kind, "mime_type": mime_type, "bytes": len(base64) * 3 // 4}
