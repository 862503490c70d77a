"""The stand-in for an engine behind a gateway: answers every chat at once, always the same.

`python -m scripts.bench.upstream --host HOST --port PORT`. Knows as much of HTTP/1.1 as gateways
and the bench's client send: bodies with a length, connections that stay open.
"""

import argparse
import asyncio
import json
from typing import Final, cast

import uvloop

from scripts.bench.messages import MessageReader

MODEL: Final = "upstream"


def _response(content: object, *others: str) -> bytes:
    body = json.dumps(content).encode()
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *others, "", ""]).encode() + body


_MODELS: Final = _response(
    {
        "object": "list",
        "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "bench"}],
    }
)
_ANSWER: Final = _response(
    {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "one two three four five six seven eight",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 8, "completion_tokens": 8, "total_tokens": 16},
    }
)


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
            else:
                self._transport.write(_ANSWER)


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
