"""Ollama, as far as its official client and ours can tell: a model that always says the same."""

from typing import Any, Final

from tests.upstreams import Asked, Reply, answer, lines

MODEL: Final = "llama2"
WORDS: Final = ("Hello", " wörld", "!")
THOUGHT: Final = "Hm."
ARGUMENTS: Final = {"city": "Paris", "days": 2}

METRICS: Final = {
    "total_duration": 5_000_000_000,
    "load_duration": 1_000_000_000,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 500_000_000,
    "eval_count": 3,
    "eval_duration": 250_000_000,
}
"""Durations are in nanoseconds."""


def ollama(asked: Asked) -> Reply:
    """Thinks where it is told to, and calls every tool that it is offered."""
    if asked.path == "/api/version":
        return answer({"version": "0.12.6"})
    if asked.body["model"] != MODEL:
        return answer({"error": f"model '{asked.body['model']}' not found"}, 404)
    is_chat = asked.path == "/api/chat"
    messages = list(_messages(asked.body))
    if asked.body.get("stream", True):
        chunks = [_chunk(message, is_chat) for message in messages]
        return lines(*chunks, _last(_said(), is_chat))
    whole: dict[str, Any] = _said()
    for message in messages:
        for name in ("content", "thinking"):
            whole[name] = whole.get(name, "") + message.get(name, "")
        whole["tool_calls"] = whole.get("tool_calls", []) + message.get("tool_calls", [])
    return answer(_last(whole, is_chat))


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    thoughts = [_said(thinking=THOUGHT)] if body.get("think") else []
    calls = [
        _said(tool_calls=[{"function": {"name": tool["function"]["name"], "arguments": ARGUMENTS}}])
        for tool in body.get("tools") or ()
    ]
    return [*thoughts, *(calls or [_said(word) for word in WORDS])]


def _said(content: str = "", **others: object) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **others}


def _chunk(message: dict[str, Any], is_chat: bool) -> dict[str, Any]:
    head: dict[str, Any] = {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "done": False}
    if is_chat:
        return {**head, "message": message}
    return {**head, "response": message["content"], "thinking": message.get("thinking", "")}


def _last(message: dict[str, Any], is_chat: bool) -> dict[str, Any]:
    return {**_chunk(message, is_chat), "done": True, "done_reason": "stop", **METRICS}
