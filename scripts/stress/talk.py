"""Requests to the server under stress, and its memory while they run."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from scripts.bench.connection import Connection, Reply, connect
from scripts.bench.process import Server

CHAT = "/v1/chat/completions"
MIB = 1024 * 1024
SAMPLE_SECONDS = 0.02


def chat(model: str, text: str = "Hello!", max_tokens: int = 4, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "max_tokens": max_tokens, **fields}


async def post(connection: Connection, path: str, body: dict[str, Any]) -> Reply:
    return await connection.post(path, json.dumps(body).encode())


async def ask(port: int, path: str, body: dict[str, Any]) -> Reply:
    """One request on a connection of its own. Raises OSError, TimeoutError."""
    async with connect(port) as connection:
        return await post(connection, path, body)


def error_of(reply: Reply) -> str:
    """The status, and the code of the error: `507 storage_full`."""
    try:
        return f"{reply.status} {json.loads(reply.body)['error']['code']}"
    except (ValueError, KeyError, TypeError):
        return str(reply.status)


@dataclass(slots=True)
class Memory:
    """Resident bytes of the server's process before, and the most since."""

    before: int
    most: int

    @property
    def grown_mib(self) -> float:
        return (self.most - self.before) / MIB


@asynccontextmanager
async def watched_memory(server: Server) -> AsyncGenerator[Memory, None]:
    now = server.resident_bytes()
    memory = Memory(now, now)

    async def watch() -> None:
        while True:
            memory.most = max(memory.most, server.resident_bytes())
            await asyncio.sleep(SAMPLE_SECONDS)

    task = asyncio.create_task(watch())
    try:
        yield memory
    finally:
        task.cancel()
