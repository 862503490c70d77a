"""Large odd documents, uploaded and taken back, or left by their client."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import httpx2

from scripts.bench.client import HOST
from scripts.stress.attack import Attack, Place
from scripts.stress.case import Outcome, Target
from scripts.stress.talk import ask

FILES = "/v1/rag/files"
DOCUMENTS = "/v1/rag/documents"
WORK_SECONDS = 1.0
"""How long each is worked on before it is taken back."""

CONTENTS: Final[Mapping[str, bytes]] = {
    "stars.md": b"*" * 1_000_000,
    "line.txt": b"words of a line without an end " * 260_000,
    "wide.csv": b"\n".join(b",".join(b"%d" % cell for cell in range(20_000)) for _ in range(10)),
}
ENDS: Final = {"cancelled", "done", "failed", "400 invalid_request"}
"""A document may be refused for its width, or read in time."""


async def prepare(target: Target) -> None:
    """Whatever an ingest starts, the embedding model foremost, is none of the attack's."""
    await ask(target.port, DOCUMENTS, {"texts": ["A document."]})
    async with _client(target.port) as client:
        await client.post(FILES, files={"files": ("one.txt", b"A file.")})


async def strike(place: Place) -> Outcome:
    """Each document once as a job that is cancelled, and once by a client that leaves."""
    async with _client(place.port) as client:
        seen = {await _cancel(client, name) for name in CONTENTS}
        for name in CONTENTS:
            await _leave(client, name)
    return Outcome(", ".join(sorted(seen)), seen <= ENDS)


def _client(port: int) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=30)


async def _cancel(client: httpx2.AsyncClient, name: str) -> str:
    """What became of the job, or of the wish for one."""
    files, data = {"files": (name, CONTENTS[name])}, {"background": "true"}
    taken = await client.post(FILES, files=files, data=data)
    if taken.status_code != 202:
        return f"{taken.status_code} {taken.json()['error']['code']}"
    await asyncio.sleep(WORK_SECONDS)
    job = (await client.post(f"{taken.headers['location']}/cancel")).json()
    return str(job["state"])


async def _leave(client: httpx2.AsyncClient, name: str) -> None:
    """Ask to wait for it, and do not."""
    files, data = {"files": (name, CONTENTS[name])}, {"background": "false"}
    with contextlib.suppress(httpx2.TimeoutException):
        await client.post(FILES, files=files, data=data, timeout=WORK_SECONDS)


ATTACK = Attack(
    "cancelled ingests",
    "1 MB of `*`, a line of 8 MB, 20,000 columns, cancelled after 1 s: their work ends with them",
    strike,
    growth_mib=768.0,
    prepare=prepare,
)
