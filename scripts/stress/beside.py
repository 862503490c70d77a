"""Who is there beside an attack: chats, and probes of `/health`. And the memory meanwhile."""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from scripts.bench.client import get
from scripts.bench.statistics import percentile
from scripts.stress.attack import Place
from scripts.stress.case import MODEL
from scripts.stress.talk import CHAT, MIB, ask, chat, error_of

CHATS = 8
CHAT_TOKENS = 8
CHAT_SECONDS = 30.0
"""A chat that takes longer is one that is not answered."""
LOOK_SECONDS = 0.25
SLOWDOWN = 2.0
HEALTH_SECONDS = 0.2
"""What the slowest probe of `/health` may take."""

Result = TypeVar("Result")


@dataclass(slots=True)
class Seen:
    """What the others met. Memory is that of the server and of all it has started."""

    chat_seconds: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    health_seconds: list[float] = field(default_factory=list)
    most_bytes: int = 0

    @property
    def p95(self) -> float:
        """Seconds; endless where no chat was answered."""
        return percentile(self.chat_seconds, 95) if self.chat_seconds else float("inf")

    @property
    def slowest_health(self) -> float:
        return max(self.health_seconds, default=float("inf"))


@dataclass(frozen=True, slots=True)
class Effect:
    """What the others met before an attack and beside it, and the bytes that are kept after."""

    before: Seen
    during: Seen
    bytes_after: int

    @property
    def slowdown(self) -> float:
        """Of the chats' 95th percentile."""
        return self.during.p95 / self.before.p95

    @property
    def grown_mib(self) -> float:
        return (self.during.most_bytes - self.before.most_bytes) / MIB

    @property
    def kept_mib(self) -> float:
        return (self.bytes_after - self.before.most_bytes) / MIB

    @property
    def is_borne(self) -> bool:
        """Whether the others hardly noticed."""
        slowest = self.during.slowest_health
        return self.slowdown <= SLOWDOWN and not self.during.lost and slowest < HEALTH_SECONDS

    def __str__(self) -> str:
        lost = f", {len(self.during.lost)} lost ({self.during.lost[0]})" if self.during.lost else ""
        return (
            f"{len(self.during.chat_seconds)} chats, p95 x {self.slowdown:.2f}{lost};"
            f" /health {self.during.slowest_health * 1000:.0f} ms;"
            f" memory {self.grown_mib:+.0f} MiB, then {self.kept_mib:+.0f}"
        )


async def beside(place: Place, work: Awaitable[Result]) -> tuple[Result, Seen]:
    """Do this work; what eight chats at a time, one after the other, and the probes meet."""
    seen, is_over = Seen(), asyncio.Event()
    async with asyncio.TaskGroup() as others:
        for number in range(CHATS):
            others.create_task(_chats(place.port, number, seen, is_over))
        others.create_task(_health(place.port, seen, is_over))
        others.create_task(_memory(place.server_process, seen, is_over))
        try:
            result = await work
        finally:
            is_over.set()
    return result, seen


async def _chats(port: int, number: int, seen: Seen, is_over: asyncio.Event) -> None:
    body = chat(MODEL, f"Tell me of number {number}.", CHAT_TOKENS, ignore_eos=True)
    while not is_over.is_set():
        began = time.monotonic()
        try:
            async with asyncio.timeout(CHAT_SECONDS):
                reply = await ask(port, CHAT, body)
        except (OSError, TimeoutError) as error:
            seen.lost.append(type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)
            continue
        if reply.status == 200:
            seen.chat_seconds.append(time.monotonic() - began)
        else:
            seen.lost.append(error_of(reply))


async def _health(port: int, seen: Seen, is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        began = time.monotonic()
        status, _ = await get(port, "/health")
        seen.health_seconds.append(time.monotonic() - began if status == 200 else float("inf"))
        await asyncio.sleep(LOOK_SECONDS)


async def _memory(server_process: int, seen: Seen, is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        seen.most_bytes = max(seen.most_bytes, bytes_of_all(server_process))
        await asyncio.sleep(LOOK_SECONDS)


def bytes_of_all(process_id: int) -> int:
    """Memory of a process and of all it has started, that nobody else can have while they live.

    Pages of files count for nothing: the system takes them back when it needs them.
    """
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(process_id)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss - _bytes_of_files(one.pid)
    return total


def _bytes_of_files(process_id: int) -> int:
    """What of the resident memory are pages of files; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    found = re.search(r"^RssFile:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
