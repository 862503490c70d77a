"""Answers of every door, put together from their streams."""

import json

import pytest

from scripts.clients.whole import text_of, whole_answer


def events(*pieces: object) -> str:
    return "".join(f"event: any\ndata: {json.dumps(piece)}\n\n" for piece in pieces)


MESSAGE = events(
    {
        "type": "message_start",
        "message": {"id": "msg_1", "content": [], "usage": {"input_tokens": 3}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"a": '}},
    {"type": "content_block_delta", "index": 1, "delta": {"partial_json": "1}"}},
    {"type": "ping"},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)


def test_a_message_is_put_together_from_its_events() -> None:
    assert whole_answer(MESSAGE) == {
        "id": "msg_1",
        "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "input": {"a": 1}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }


def chunk(**delta: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


@pytest.mark.parametrize(
    "answer",
    [
        MESSAGE,
        events(chunk(role="assistant", content=""), chunk(content="H"), chunk(content="i"))
        + "data: [DONE]\n\n",
        (
            '{"message": {"content": "H"}, "done": false}\n'
            '{"message": {"content": "i"}, "done": true}\n'
        ),
        '{"response": "H", "done": false}\n{"response": "i", "done": true}\n',
        '{"choices": [{"message": {"content": "Hi"}}]}',
        '{"output": [{"type": "message", "content": [{"text": "Hi"}]}]}',
        events({"type": "response.completed", "response": {"output": []}}).replace(
            "[]", '[{"type": "message", "content": [{"text": "Hi"}]}]'
        ),
    ],
)
def test_what_is_said_is_read_whatever_the_door(answer: str) -> None:
    assert text_of(whole_answer(answer)) == "Hi"


def test_calls_of_a_chat_are_put_together() -> None:
    begun = {"index": 0, "id": "call_1", "function": {"name": "now", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    answer = whole_answer(events(chunk(tool_calls=[begun]), chunk(tool_calls=[more])))
    [call] = answer["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": "now", "arguments": "{}"}


def test_no_answer_is_empty() -> None:
    assert (whole_answer(""), text_of({})) == ({}, "")
