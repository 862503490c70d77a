"""What passes between the server and the process of a chat template, there and back."""

from datetime import datetime

import pytest

from llm_api.core.llm.prompt.carrying import Segment
from llm_api.core.llm.prompt.template_wire import (
    Loading,
    Rendering,
    Request,
    decode,
    decode_segments,
    encode,
    encode_segments,
)
from llm_api.core.llm.types import JSON, ChatPrompt, Message, ToolCall, ToolSpec

NOW = datetime.fromtimestamp(1e9).astimezone()

HISTORY = (
    Message("user", "\ud800 é", name="Eve"),
    Message("assistant", "", tool_calls=(ToolCall("1", "f", "{}"),), reasoning="2+2"),
    Message("tool", "4", tool_call_id="1"),
)


@pytest.mark.parametrize(
    "request_",
    [
        Loading("{{ x }}", {"bos_token": "<s>"}, frozenset({"<s>", "</s>"}), NOW),
        Rendering(ChatPrompt(HISTORY, {"x": [1, {"y": None}]}, (ToolSpec("f", "", {}),)), NOW),
        Rendering(ChatPrompt(()), NOW),
    ],
)
def test_a_request_arrives_as_it_was_sent(request_: Request) -> None:
    assert decode(encode(request_), is_first=isinstance(request_, Loading)) == request_


def test_what_nests_too_deeply_is_not_sent() -> None:
    deep: JSON = "end"
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        encode(Rendering(ChatPrompt((), {"x": deep}), NOW))


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [Segment("a\n", is_literal=False)],
        [Segment("<s>", is_literal=True), Segment("\n", is_literal=False)],
    ],
)
def test_segments_come_back(segments: list[Segment]) -> None:
    assert decode_segments(encode_segments(segments)) == segments


@pytest.mark.parametrize("answer", ["", "[1]\n", "[1]\nab", "{}", "x", '["a"]\nb', "[" * 100_000])
def test_what_only_a_hostile_process_writes_is_an_error(answer: str) -> None:
    with pytest.raises(ValueError, match="length"):
        decode_segments(answer)
