"""A disk without room, under documents and the request log."""

import asyncio
import json
import os
from pathlib import Path

from scripts.bench.client import get
from scripts.stress.case import MODEL, Case, Outcome, SkippedError, Target
from scripts.stress.talk import CHAT, ask, chat, error_of

DOCUMENTS = "/v1/rag/documents"
SEARCH = "/v1/rag/search"
LOGGED = 40
"""Requests whose lines take more than the rest of a page that a full disk has left."""
LOG_SECONDS = 0.5


async def run(target: Target) -> Outcome:
    """Room, none, and room again: what storing, finding, answering and the log make of it."""
    if not target.has_small_disk:
        raise SkippedError("mounting a small disk (tmpfs) takes root")
    ballast = target.disk / "ballast"
    try:
        room = await _round(target, "one")
        _fill(ballast)
        full = await _round(target, "two")
    finally:
        ballast.unlink(missing_ok=True)
    again = await _round(target, "three")
    as_claimed = room == again == _words("200", "written") and full == _words(
        "507 storage_full", "No space left on device"
    )
    return Outcome(f"room: {room}; full: {full}; room again: {again}", as_claimed)


async def _round(target: Target, text: str) -> str:
    stored = await ask(target.port, DOCUMENTS, {"texts": [f"A container is number {text}."]})
    found = await ask(target.port, SEARCH, {"query": "container", "top_k": 1})
    said = await ask(target.port, CHAT, chat(MODEL))
    lines = _lines(target)
    for _ in range(LOGGED):
        await get(target.port, "/v1/models")
    await asyncio.sleep(LOG_SECONDS)
    _, health = await get(target.port, "/health")
    is_written = _lines(target) >= lines + LOGGED
    log = "written" if is_written else json.loads(health)["request_log"]["problem"]
    if found.status == said.status == 200:
        return _words(error_of(stored), log)
    return f"search {error_of(found)}, chat {error_of(said)}"


def _words(stored: str, log: str) -> str:
    return f"stored {stored}, found, answered, log: {log}"


def _lines(target: Target) -> int:
    log = target.disk / "log.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _fill(path: Path) -> None:
    """Write until there is no byte left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass
        os.fsync(file.fileno())


CASE = Case(
    "full disk",
    "no room for documents and log: 507, reads and answers go on, and all is well after",
    run,
)
