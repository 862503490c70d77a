"""A server of several workers that keeps responses, over either database."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml

from scripts.bench.client import HOST
from scripts.bench.contestants import Command
from scripts.bench.process import Server, free_port
from scripts.stress.case import ECHO
from scripts.stress.slow_upstream import MODEL as SLOW

RESPONSES = "/v1/responses"
END_EVENTS = {f"response.{how}" for how in ("completed", "failed", "incomplete", "cancelled")}


def keeping_server(
    folder: Path, upstream: str, workers: int, database: str | None = None
) -> Server:
    """Not started yet. Started again, it goes on with what `folder` or the database holds."""
    config = folder / "models.yaml"
    models = [
        {"name": ECHO, "backend": "stub"},
        {"name": SLOW, "backend": "openai", "url": upstream, "model": SLOW},
    ]
    config.write_text(yaml.safe_dump({"models": models}))
    port = free_port()
    environment = {
        "CONFIG_FILE": str(config),
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),
        "LOG_FILE": os.devnull,
        "EMBEDDING_BACKEND": "none",
        "WORKERS": str(workers),
    }
    if database is not None:
        environment["DATABASE_URL"] = database
    command = Command(
        (sys.executable, "-m", "llm_api"), "/health/ready", tuple(environment.items())
    )
    return Server("the server", command, folder / "server.log", port)


def kill(server: Server) -> None:
    """All its processes at once, without a word."""
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


def client_of(server: Server) -> httpx2.AsyncClient:
    """Each request takes a connection of its own, and so any worker."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    return httpx2.AsyncClient(base_url=f"http://{HOST}:{server.port}", limits=limits, timeout=60)


@dataclass(slots=True)
class Taken:
    """What arrived of a stream, in pieces or at once."""

    numbers: list[int] = field(default_factory=list)
    id: str = ""
    text: str = ""
    last: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        return self.last.get("type") in END_EVENTS

    @property
    def is_whole(self) -> bool:
        """Whether it has all events, from the first to one that ends it."""
        return self.has_ended and self.numbers == list(range(len(self.numbers)))

    def add(self, event: Mapping[str, Any]) -> None:
        self.numbers.append(event["sequence_number"])
        if event["type"] == "response.created":
            self.id = event["response"]["id"]
        elif event["type"] == "response.output_text.delta":
            self.text += event["delta"]
        self.last = event

    def problem(self) -> str:
        """What is wrong with a stream that has ended; "" for nothing."""
        if self.numbers != list(range(len(self.numbers))):
            return f"{self.id}: the events are numbered {self.numbers}"
        if self.last["type"] != "response.completed":
            return f"{self.id} ended with {self.last['type']}"
        if (whole := text_of(self.last["response"])) != self.text:
            return f"{self.id}: the deltas say {self.text!r}, the response {whole!r}"
        return ""


def text_of(response: Mapping[str, Any]) -> str:
    """All text of a response's output."""
    parts = (part for item in response["output"] for part in item.get("content", ()))
    return "".join(part.get("text", "") for part in parts)


async def take(
    client: httpx2.AsyncClient, method: str, path: str, most: int, taken: Taken, **request: Any
) -> None:
    """Read at most so many events of a stream, then leave it. Raises what the client does."""
    async with client.stream(method, path, **request) as answer:
        answer.raise_for_status()
        async with aclosing(_events(answer)) as events:
            async for event in events:
                taken.add(event)
                if (most := most - 1) <= 0 or taken.has_ended:
                    return


async def _events(answer: httpx2.Response) -> AsyncGenerator[Mapping[str, Any], None]:
    async for line in answer.aiter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))
