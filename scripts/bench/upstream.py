"""The stand-in for an engine behind a gateway: answers every chat at once, always the same.

Who asks `SLOWLY` gets `SLOW_TOKENS` one after the other, as of an engine that computes.

`python -m scripts.bench.upstream --host HOST --port PORT`. Knows as much of HTTP/1.1 as gateways
and the bench's client send: bodies with a length, connections that stay open.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator
from typing import Final, cast

import uvloop

from scripts.bench.messages import MessageReader

MODEL: Final = "upstream"
SLOWLY: Final = "slowly"
SLOW_TOKENS: Final = 50
_PAUSE_SECONDS: Final = 0.1
_WORDS: Final = ["one", "two", "three", "four", "five", "six", "seven", "eight"]


def _http(media_type: str, body: str, *others: str) -> bytes:
    head = ["HTTP/1.1 200 OK", f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *others, "", body]).encode()


def _response(content: object, *others: str) -> bytes:
    return _http("application/json", json.dumps(content), *others)


_MODELS: Final = _response(
    {
        "object": "list",
        "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "bench"}],
    }
)
_USAGE: Final = {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16}
_MESSAGE: Final = {"role": "assistant", "content": " ".join(_WORDS)}
_CHOICE: Final = {"index": 0, "message": _MESSAGE, "finish_reason": "stop"}
_HEAD: Final = {"id": "chatcmpl-0", "created": 1_700_000_000, "model": MODEL}
_ANSWER: Final = _response(
    {**_HEAD, "object": "chat.completion", "choices": [_CHOICE], "usage": _USAGE}
)


def _frames(words: list[str], reason: str) -> list[str]:
    """A chunk for each word, and those before and after them."""
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"{' ' * bool(at)}{word}"} for at, word in enumerate(words)]
    choices: list[list[object]] = [
        [{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas
    ]
    choices += [[{"index": 0, "delta": {}, "finish_reason": reason}], []]
    chunks = [{**_HEAD, "object": "chat.completion.chunk", "choices": one} for one in choices]
    count = len(words)
    chunks[-1]["usage"] = {**_USAGE, "completion_tokens": count, "total_tokens": 8 + count}
    return [f"data: {line}\n\n" for line in (*map(json.dumps, chunks), "[DONE]")]


_STREAM: Final = _http("text/event-stream", "".join(_frames(_WORDS, "stop")))
_SLOW_FRAMES: Final = _frames(["word"] * SLOW_TOKENS, "length")
_SLOW_STREAM: Final = _http("text/event-stream", "".join(_SLOW_FRAMES))


class Upstream(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self) -> None:
        self._reader = MessageReader()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if (request := self._reader.feed(data)) is not None:
            if request.first_line.startswith(b"GET "):
                self._transport.write(_MODELS)
                self._transport.close()
                return
            body = json.loads(request.body)
            asked = body.get("messages") or [{}]
            if asked[-1].get("content") == SLOWLY:
                self._drip(_SLOW_STREAM, iter(_SLOW_FRAMES))
            else:
                self._transport.write(_STREAM if body.get("stream") else _ANSWER)

    def _drip(self, rest: bytes, frames: Iterator[str]) -> None:
        """Send what comes up to the next frame's end, and the others later."""
        if self._transport.is_closing():
            return
        if (frame := next(frames, None)) is not None:
            end = rest.index(frame.encode()) + len(frame)
            self._transport.write(rest[:end])
            loop = asyncio.get_running_loop()
            loop.call_later(_PAUSE_SECONDS, self._drip, rest[end:], frames)


async def _serve(host: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, host, port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvloop.run(_serve(given.host, given.port))


if __name__ == "__main__":
    main()
