"""An answer as it came, put together as one object: that of the door which gave it.

Knows the streams of chat completions, Responses, Messages and Ollama by their shapes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def whole_answer(text: str) -> dict[str, Any]:
    """The JSON of an answer; of a stream, what it amounts to. Empty where neither is there."""
    pieces = _pieces(text)
    match pieces:
        case []:
            return {}
        case [{"type": "message_start"}, *_]:
            return _message(pieces)
        case [{"object": "chat.completion.chunk"}, *_]:
            return _completion(pieces)
        case [{"done": _}, *_]:
            return _ollama(pieces)
        case _:
            last = pieces[-1]
            return dict(last.get("response") or last) if "type" in last else last


def text_of(answer: Mapping[str, Any]) -> str:
    """What the model says in a whole answer of any door."""
    match answer:
        case {"output": items}:
            said = [item for item in items if item.get("type") == "message"]
            return _joined((part for item in said for part in item["content"]), "text")
        case {"choices": [{"message": message}]} | {"message": message}:
            return str(message.get("content") or "")
        case {"content": list(blocks)}:
            return _joined(blocks, "text")
        case {"response": str(text)}:
            return text
        case _:
            return ""


def _pieces(text: str) -> list[dict[str, Any]]:
    """The objects of an answer: of server-sent events, of lines, or the one that it is."""
    lines = [line.removeprefix("data: ") for line in text.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def _joined(parts: Iterable[Mapping[str, Any]], name: str) -> str:
    return "".join(str(part.get(name) or "") for part in parts)


def _message(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Anthropic's message, from its events."""
    message: dict[str, Any] = {}
    for event in events:
        match event:
            case {"type": "message_start"}:
                message = event["message"]
            case {"type": "content_block_start"}:
                message["content"].append(event["content_block"])
            case {"type": "content_block_delta", "index": at, "delta": delta}:
                _add(message["content"][at], delta)
            case {"type": "message_delta"}:
                message |= event["delta"]
                message["usage"] |= event["usage"]
            case _:
                pass
    for block in message["content"]:
        if "partial_json" in block:
            block["input"] = json.loads(block.pop("partial_json") or "{}")
    return message


def _add(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name in ("text", "thinking", "signature", "partial_json"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]
    if "citation" in delta:
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]


def _completion(chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A chat completion of one choice, from its chunks."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_content": ""}
    calls: list[dict[str, Any]] = []
    reason, usage = None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            reason = choice["finish_reason"] or reason
            for name in ("content", "reasoning_content"):
                message[name] += delta.get(name) or ""
            for piece in delta.get("tool_calls") or ():
                if "id" in piece:
                    calls.append({**piece, "function": dict(piece["function"])})
                else:
                    calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    choice = {"index": 0, "message": message | {"tool_calls": calls}, "finish_reason": reason}
    return {"id": chunks[0]["id"], "choices": [choice], "usage": usage}


def _ollama(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last part with the texts and calls of all."""
    last = dict(parts[-1])
    if "message" not in last:
        return last | {"response": _joined(parts, "response")}
    messages = [part["message"] for part in parts]
    whole = {name: _joined(messages, name) for name in ("content", "thinking")}
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    return last | {"message": {"role": "assistant", **whole, "tool_calls": calls}}
