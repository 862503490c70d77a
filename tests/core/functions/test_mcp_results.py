import json

import pytest
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

from llm_api.core.errors import FunctionFailedError
from llm_api.core.functions.mcp_results import MAX_ERROR_CHARACTERS, to_json_text


def text(*words: str) -> list[ContentBlock]:
    return [TextContent(text=word) for word in words]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], '""'),
        (text("a", "b"), '"a\\nb"'),
        (text("7"), '"7"'),
        (text('{"a": 1}'), '{"a": 1}'),
        (text("[1,", "2]"), "[1,\n2]"),
        (text("[NaN]"), '"[NaN]"'),
        (text("[see below]"), '"[see below]"'),
    ],
)
def test_text_becomes_json(content: list[ContentBlock], expected: str) -> None:
    assert to_json_text(CallToolResult(content=content)) == expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            ImageContent(data="QUJD", mime_type="i/j"),
            {"type": "image", "mime_type": "i/j", "bytes": 3},
        ),
        (
            AudioContent(data="QUJD", mime_type="a/b"),
            {"type": "audio", "mime_type": "a/b", "bytes": 3},
        ),
        (
            ResourceLink(name="n", uri="file:///n"),
            {"type": "resource_link", "name": "n", "uri": "file:///n"},
        ),
        (
            EmbeddedResource(resource=TextResourceContents(uri="u:1", text="t")),
            {"type": "resource", "uri": "u:1", "text": "t"},
        ),
        (
            EmbeddedResource(resource=BlobResourceContents(uri="u:1", blob="QUJD")),
            {"type": "resource", "uri": "u:1", "mime_type": None, "bytes": 3},
        ),
    ],
)
def test_what_is_no_text_is_described(block: ContentBlock, expected: dict[str, object]) -> None:
    result = CallToolResult(content=[TextContent(text="See:"), block])
    assert json.loads(to_json_text(result)) == ["See:", expected]


@pytest.mark.parametrize(
    ("structured", "expected"), [({"a": "ü"}, '{"a":"ü"}'), ([], "[]"), (0, "0")]
)
def test_structured_content_wins(structured: object, expected: str) -> None:
    result = CallToolResult(content=text("other"), structured_content=structured)
    assert to_json_text(result) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text("No.", "Never."), "No.\nNever."),
        ([], "The tool failed and says no more."),
        (text("x" * 3000), "x" * (MAX_ERROR_CHARACTERS - 1) + "…"),
    ],
)
def test_an_error_is_raised_with_its_text(content: list[ContentBlock], message: str) -> None:
    with pytest.raises(FunctionFailedError) as caught:
        to_json_text(CallToolResult(content=content, structured_content={"a": 1}, is_error=True))
    assert caught.value.message == message
