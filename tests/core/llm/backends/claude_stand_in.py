"""Anthropic's API, as far as its official client and ours can tell: it always says the same."""

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.upstreams import Asked, Reply, answer, events

MODEL: Final = "claude-opus-4-8"
KEY: Final = "sk-ant-secret"
WORDS: Final = ("Hello", " wörld", "!")
THOUGHT: Final = "Hm."
ARGUMENTS: Final = {"city": "Paris", "days": 2}

USAGE: Final = {
    "input_tokens": 10,
    "cache_read_input_tokens": 12,
    "cache_creation_input_tokens": 4,
}


def claude(asked: Asked) -> Reply:
    """Thinks where it is told to, and calls every tool that it is offered."""
    if (refused := _refusal(asked)) is not None:
        return refused
    if asked.method == "GET":
        return _model()
    blocks = _blocks(asked.body)
    reason = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
    if asked.body.get("stream"):
        return events(*map(_named, _streamed(blocks, reason)))
    return answer(_message(blocks, reason))


def _refusal(asked: Asked) -> Reply | None:
    if KEY not in (asked.headers.get("x-api-key"), asked.headers.get("authorization", "")[7:]):
        return failure("authentication_error", 401, "invalid x-api-key")
    version = asked.headers.get("anthropic-version")
    if version not in ("2023-06-01", "2026-10-21"):
        return failure("invalid_request_error", 400, "anthropic-version: header is required")
    body = asked.body or {"model": asked.path.removeprefix("/v1/models/")}
    if version == "2026-10-21" and body.keys() & {"temperature", "top_p", "top_k"}:
        return failure("invalid_request_error", 400, "sampling: Extra inputs are not permitted")
    if body["model"] != MODEL:
        return failure("not_found_error", 404, f"model: {body['model']}")
    return None


def failure(type_: str, status: int, message: str, **headers: str) -> Reply:
    error = {"type": "error", "error": {"type": type_, "message": message}}
    return answer({**error, "request_id": "req_1"}, status, **headers)


def _model() -> Reply:
    return answer(
        {
            "type": "model",
            "id": MODEL,
            "display_name": "Claude",
            "created_at": "2026-01-01T00:00:00Z",
            "lifecycle": "active",
        }
    )


def _blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    thoughts: list[dict[str, Any]] = []
    if body.get("thinking", {}).get("type") == "adaptive":
        thoughts = [{"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"}]
    calls = [
        {"type": "tool_use", "id": f"toolu_{index}", "name": tool["name"], "input": ARGUMENTS}
        for index, tool in enumerate(body.get("tools", ()))
        if body["tool_choice"]["type"] != "none"
    ]
    return [*thoughts, *(calls or [{"type": "text", "text": "".join(WORDS)}])]


def _message(blocks: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 3 if reason else 1},
    }


def _streamed(blocks: list[dict[str, Any]], reason: str) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": _message([], None)}
    yield {"type": "ping"}
    for index, block in enumerate(blocks):
        empty, deltas = _parts(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    usage = {"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 2}}
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": usage}
    yield {"type": "message_stop"}


def _parts(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and the deltas that fill it."""
    match block["type"]:
        case "thinking":
            return {**block, "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case "tool_use":
            written = json.dumps(block["input"])
            parts = ("", written[:7], written[7:])
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
            return {**block, "input": {}}, deltas
        case _:
            return {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in WORDS]


def _named(event: dict[str, Any]) -> bytes:
    """The official client goes by the event's name."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
