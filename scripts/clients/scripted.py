"""The scripted model as a server that speaks chat completions, as vLLM does.

The server under test has it as its upstream. So an answer goes the whole way that any answer goes:
only the model is none.

It says that it is another server like the one under test, which therefore asks how far it has read.
"""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

from scripts.clients.loopback import Handler
from scripts.clients.script import MODEL, Reply, Turn, reply

SLOWLY: Final = "Read this slowly"
"""In what the user says: then it takes `READING_SECONDS`, and tells how far it is."""

READING_SECONDS: Final = 3.0
_READING_STEPS: Final = 10
_HEADERS: Final = {"content-type": "text/event-stream", "x-llm-api-backend": "scripted"}
_HEAD: Final = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1_700_000_000}


class ScriptedModel(Handler):
    """Answers `GET /v1/models` and `POST /v1/chat/completions`, the latter always as a stream."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        models = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0}]}
        self.answer(200, {"content-type": "application/json"}, json.dumps(models).encode())

    def do_POST(self) -> None:  # noqa: N802 - likewise
        frames = _frames(json.loads(self.body()))
        self.begin(200, _HEADERS)
        for frame in frames:
            self.wfile.write(f"data: {frame}\n\n".encode())


def _frames(body: dict[str, Any]) -> Iterator[str]:
    turns = [_turn(message) for message in body["messages"]]
    tools = [tool["function"]["name"] for tool in body.get("tools") or []]
    said = reply(turns, tools)
    deltas = list(_deltas(said, sum(turn.calls for turn in turns)))
    if body.get("return_progress") and SLOWLY in turns[-1].text:
        yield from _reading()
    for delta in deltas:
        yield _chunk([{"index": 0, "delta": delta, "finish_reason": None}])
    reason = "tool_calls" if said.calls else "stop"
    yield _chunk([{"index": 0, "delta": {}, "finish_reason": reason}])
    read = sum(len(turn.text.split()) for turn in turns)
    usage = {"prompt_tokens": read, "completion_tokens": len(deltas)}
    yield _chunk([], usage={**usage, "total_tokens": read + len(deltas)})
    yield "[DONE]"


def _reading() -> Iterator[str]:
    for step in range(_READING_STEPS + 1):
        told = {"total": 1000, "cache": 0, "processed": 1000 * step // _READING_STEPS}
        told["time_ms"] = round(1000 * READING_SECONDS * step / _READING_STEPS)
        yield _chunk([{"index": 0, "delta": {}, "finish_reason": None}], prompt_progress=told)
        time.sleep(READING_SECONDS / _READING_STEPS)


def _chunk(choices: list[object], **fields: object) -> str:
    return json.dumps({**_HEAD, "model": MODEL, "choices": choices, **fields})


def _deltas(said: Reply, made: int) -> Iterator[dict[str, Any]]:
    """Word for word; `made` calls were made before, by which the new ones are named."""
    yield {"role": "assistant", "content": ""}
    for word in _words(said.thought):
        yield {"reasoning_content": word}
    for word in _words(said.text):
        yield {"content": word}
    for index, call in enumerate(said.calls):
        begun = {"name": call.tool, "arguments": ""}
        head = {"index": index, "id": f"call_{made + index}", "type": "function"}
        yield {"tool_calls": [{**head, "function": begun}]}
        for word in _words(json.dumps(call.arguments)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": word}}]}


def _words(text: str) -> list[str]:
    """The text in pieces, each but the last up to and with a space."""
    return [piece for piece in text.replace(" ", " \0").split("\0") if piece]


def _turn(message: dict[str, Any]) -> Turn:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    return Turn(
        message["role"],
        content,
        len(message.get("tool_calls") or []),
        message.get("reasoning_content") or "",
    )
