"""An upstream that speaks slowly, so that there is time to cut its streams. It has no model."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from scripts.bench.client import HOST

MODEL = "slow"
WORDS = 40
LONGEST_PAUSE_SECONDS = 0.03


@asynccontextmanager
async def slow_upstream() -> AsyncGenerator[str, None]:
    """The base URL of an OpenAI server that answers every chat with a stream of words."""
    server = await asyncio.start_server(_answer, HOST, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://{HOST}:{port}/v1"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if _is_length(line)), 0
        )
        await reader.readexactly(length)
        kind = b"text/event-stream" if head.startswith(b"POST") else b"application/json"
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: %b\r\n\r\n" % kind)
        if head.startswith(b"POST"):
            await _stream(writer)
        else:
            writer.write(b'{"object":"list","data":[{"id":"%b"}]}' % MODEL.encode())
        await writer.drain()
    except (OSError, EOFError):  # the server was killed, or does not want any more
        pass
    finally:
        writer.close()


def _is_length(line: bytes) -> bool:
    return line.lower().startswith(b"content-length:")


async def _stream(writer: asyncio.StreamWriter) -> None:
    choose = random.Random()  # noqa: S311 - pauses, not secrets
    for number in range(WORDS):
        writer.write(_chunk({"content": f"word{number} "}))
        await writer.drain()
        await asyncio.sleep(choose.uniform(0, LONGEST_PAUSE_SECONDS))
    writer.write(_chunk({}, "stop") + b"data: [DONE]\n\n")


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    whole = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": MODEL}
    return f"data: {json.dumps(whole | {'choices': [choice]})}\n\n".encode()
