"""The doors to one house: how each writes a conversation, and how its answer is read.

A conversation is said in the core's own words; what comes back is an `Answer`, whatever the door.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llm_api.core.llm.types import Message, ToolSpec


@dataclass(frozen=True, slots=True)
class Conversation:
    """`messages` after the system's, which every door holds first."""

    messages: tuple[Message, ...]
    system: str = ""
    tools: tuple[ToolSpec, ...] = ()
    stop: tuple[str, ...] = ()
    max_tokens: int = 64
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`calls` are names with parsed arguments. `prompt_tokens` are those that were reused, too."""

    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    is_cut: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Door:
    """`write` makes the body; `read` reads a whole answer."""

    name: str
    path: str
    write: Callable[[Conversation], dict[str, Any]]
    read: Callable[[Mapping[str, Any]], Answer]
    has_stop: bool = True

    def __str__(self) -> str:
        return self.name


# Chat completions


def _write_chat(talk: Conversation) -> dict[str, Any]:
    system = [{"role": "system", "content": talk.system}] if talk.system else []
    body: dict[str, Any] = {
        "messages": [*system, *map(_chat_turn, talk.messages)],
        "max_tokens": talk.max_tokens,
        "temperature": 0,
    }
    return body | _chat_tools(talk.tools) | ({"stop": list(talk.stop)} if talk.stop else {})


def _chat_turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return turn | ({"tool_call_id": message.tool_call_id} if message.tool_call_id else {})


def _chat_tools(tools: Sequence[ToolSpec]) -> dict[str, Any]:
    declared = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in tools
    ]
    return {"tools": declared} if declared else {}


def _read_chat(answer: Mapping[str, Any]) -> Answer:
    [choice] = answer["choices"]
    message = choice["message"]
    return Answer(
        message["content"] or "",
        message.get("reasoning_content") or "",
        tuple(
            (call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ),
        choice["finish_reason"] == "length",
        answer["usage"]["prompt_tokens"],
        answer["usage"]["completion_tokens"],
    )


# Responses


def _write_response(talk: Conversation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "input": [item for message in talk.messages for item in _items(message)],
        "max_output_tokens": talk.max_tokens,
        "temperature": 0,
        "store": False,
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": False,
            }
            for tool in talk.tools
        ],
    }
    return body | ({"instructions": talk.system} if talk.system else {})


def _items(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": message.tool_call_id,
            "output": message.content,
        }
        return
    if message.content:
        yield {"role": message.role, "content": message.content}
    for call in message.tool_calls:
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }


def _read_response(answer: Mapping[str, Any]) -> Answer:
    items = answer["output"]
    return Answer(
        "".join(
            part["text"] for item in items if item["type"] == "message" for part in item["content"]
        ),
        "".join(
            part["text"]
            for item in items
            if item["type"] == "reasoning"
            for part in item["content"] or ()
        ),
        tuple(
            (item["name"], json.loads(item["arguments"]))
            for item in items
            if item["type"] == "function_call"
        ),
        answer["status"] == "incomplete",
        answer["usage"]["input_tokens"],
        answer["usage"]["output_tokens"],
    )


# Anthropic's Messages


def _write_messages(talk: Conversation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": [_anthropic_turn(message) for message in talk.messages],
        "max_tokens": talk.max_tokens,
        "temperature": 0,
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.parameters,
            }
            for tool in talk.tools
        ],
    }
    if talk.thinks:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if talk.stop:
        body["stop_sequences"] = list(talk.stop)
    return body | ({"system": talk.system} if talk.system else {})


def _anthropic_turn(message: Message) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        return {"role": "user", "content": [{**result, "content": message.content}]}
    if message.content:
        blocks.append({"type": "text", "text": message.content})
    for call in message.tool_calls:
        use = {"type": "tool_use", "id": call.id, "name": call.name}
        blocks.append({**use, "input": json.loads(call.arguments)})
    return {"role": message.role, "content": blocks}


def _read_message(answer: Mapping[str, Any]) -> Answer:
    blocks, usage = answer["content"], answer["usage"]
    read = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return Answer(
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        tuple((block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"),
        answer["stop_reason"] == "max_tokens",
        sum(usage.get(name) or 0 for name in read),
        usage["output_tokens"],
    )


# Ollama


def _write_ollama(talk: Conversation) -> dict[str, Any]:
    system = [{"role": "system", "content": talk.system}] if talk.system else []
    names = {call.id: call.name for message in talk.messages for call in message.tool_calls}
    options: dict[str, Any] = {"temperature": 0, "num_predict": talk.max_tokens}
    body: dict[str, Any] = {
        "messages": [*system, *(_ollama_turn(message, names) for message in talk.messages)],
        "stream": False,
        "options": options | ({"stop": list(talk.stop)} if talk.stop else {}),
    }
    return body | _chat_tools(talk.tools) | ({"think": True} if talk.thinks else {})


def _ollama_turn(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"function": {"name": call.name, "arguments": json.loads(call.arguments)}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        turn["tool_name"] = names[message.tool_call_id]
    return turn


def _read_ollama(answer: Mapping[str, Any]) -> Answer:
    message = answer["message"]
    return Answer(
        message.get("content") or "",
        message.get("thinking") or "",
        tuple(
            (call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ),
        answer["done_reason"] == "length",
        answer["prompt_eval_count"],
        answer["eval_count"],
    )


CHAT: Final = Door("chat", "/v1/chat/completions", _write_chat, _read_chat)
RESPONSES: Final = Door(
    "responses", "/v1/responses", _write_response, _read_response, has_stop=False
)
MESSAGES: Final = Door("messages", "/v1/messages", _write_messages, _read_message)
OLLAMA: Final = Door("ollama", "/api/chat", _write_ollama, _read_ollama)
DOORS: Final = (CHAT, RESPONSES, MESSAGES, OLLAMA)
