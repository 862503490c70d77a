"""Kills a node of a Qdrant cluster under load, and looks whether anything was lost.

    python -m scripts.measure_cluster [--ingests 1000] [--searches 1000]

Three nodes on this machine hold every shard twice. Documents are written and replaced one after the
other, and searched for meanwhile. When a third of them is written, the node that is asked is killed
with SIGKILL; when two thirds are, it is started again. Then every node is asked alone:

- the last acknowledged version of each document is there, or one whose write was not acknowledged
  after it, whole;
- every search was answered, and had whole documents in it.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from llm_api.assembly.retrieval import VectorStoreOptions, open_vector_store
from llm_api.core.errors import DocumentNotFoundError, LLMAPIError
from llm_api.core.rag.types import Chunk, Document, Span
from llm_api.core.rag.vector_store import (
    EmbeddedChunk,
    EmbeddingModel,
    NewDocument,
    QueryVector,
    SearchQuery,
    VectorStore,
)
from scripts.qdrant_server import QdrantServer, running_cluster

COLLECTION: Final = "cluster"
MODEL: Final = EmbeddingModel("random", 32)
CHUNKS: Final = 3
SEARCHERS: Final = 2
RECOVERY_SECONDS: Final = 60.0
BOUND_SECONDS: Final = 900.0


def document(number: int, version: int) -> NewDocument:
    """A version of a document: all its chunks say which it is."""
    id_, text = f"d{number}", f"v{version}"
    vectors = np.random.default_rng(number).normal(size=(CHUNKS, MODEL.dimension))
    chunks = [
        EmbeddedChunk(
            Chunk(f"{id_}-{n}", id_, n, text, Span(0, len(text))), vector.astype(np.float32), text
        )
        for n, vector in enumerate(vectors)
    ]
    return NewDocument(Document(id_, text), text, chunks)


@dataclass
class Kept:
    """What was acknowledged: by document its last version, and those that may be there as well."""

    acknowledged: dict[int, int] = field(default_factory=dict)
    unsure: dict[int, set[int]] = field(default_factory=dict)
    answers: int = 0
    failed: list[str] = field(default_factory=list)

    def took(self, number: int, version: int) -> None:
        self.answers += 1
        self.acknowledged[number] = version
        self.unsure.pop(number, None)

    def refused(self, number: int, version: int, error: Exception) -> None:
        self.failed.append(str(error))
        self.unsure.setdefault(number, set()).add(version)

    def allows(self, number: int, text: str | None) -> bool:
        """Whether a document may have this text, None where it is not there. Pure."""
        allowed = {f"v{version}" for version in self.unsure.get(number, ())}
        if number in self.acknowledged:
            return text in allowed | {f"v{self.acknowledged[number]}"}
        return text is None or text in allowed


@dataclass
class Searches:
    """How many were answered, how long each took, and what was wrong."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    torn: int = 0

    @property
    def asked(self) -> int:
        return len(self.seconds) + len(self.failed)


@asynccontextmanager
async def opened(urls: Sequence[str]) -> AsyncGenerator[VectorStore, None]:
    options = VectorStoreOptions(
        Path(), url=urls[0], further_urls=tuple(urls[1:]), shard_number=3, replication_factor=2
    )
    async with open_vector_store(options) as store:
        yield store


async def write(
    store: VectorStore, ingests: int, kept: Kept, reached: Callable[[int], None]
) -> None:
    """Every third document is written anew, so that replacing is tried too."""
    for count in range(ingests):
        reached(count)
        number = count if count % 3 else count // 2
        try:
            await store.replace_documents(COLLECTION, MODEL.model, [document(number, count)])
        except LLMAPIError as error:
            kept.refused(number, count, error)
        else:
            kept.took(number, count)


async def search(store: VectorStore, searches: int, until: asyncio.Event, seen: Searches) -> None:
    """Searches, spread over the time that the writes take."""
    random = np.random.default_rng(0)
    while seen.asked < searches:
        vector = random.normal(size=MODEL.dimension).astype(np.float32)
        query = SearchQuery("hybrid", 10, "v1", QueryVector(MODEL.model, vector))
        began = time.monotonic()
        try:
            hits = await store.search(COLLECTION, query)
        except LLMAPIError as error:
            seen.failed.append(str(error))
        else:
            seen.seconds.append(time.monotonic() - began)
            versions: dict[str, set[str]] = {}
            for hit in hits:
                versions.setdefault(hit.chunk.document_id, set()).add(hit.chunk.text)
            seen.torn += any(len(texts) > 1 for texts in versions.values())
        if not until.is_set():
            await asyncio.sleep(0.03)


async def lost(store: VectorStore, kept: Kept) -> list[str]:
    """What is not as it was acknowledged."""
    wrong = []
    for number in kept.acknowledged.keys() | kept.unsure.keys():
        text: str | None = None
        try:
            text = (await store.read_document(COLLECTION, f"d{number}")).text
        except DocumentNotFoundError:
            text = None
        except LLMAPIError as error:
            text = str(error)
        if not kept.allows(number, text):
            wrong.append(f"d{number} is {text}, not v{kept.acknowledged.get(number)}")
    return wrong


async def recovered(servers: Sequence[QdrantServer]) -> bool:
    """Whether every copy of every shard is active again, within RECOVERY_SECONDS."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        states = [await asyncio.to_thread(server.shard_states) for server in servers]
        if all(state and set(state) == {"Active"} for state in states):
            return True
        await asyncio.sleep(0.2)
    return False


@dataclass(frozen=True, slots=True)
class Result:
    """`down_seconds` is how long the node was away; `lost` is by the node that was asked."""

    kept: Kept
    searches: Searches
    seconds: float
    down_seconds: float
    is_recovered: bool
    lost: Sequence[Sequence[str]]

    @property
    def is_good(self) -> bool:
        searches = self.searches
        return self.is_recovered and not (any(self.lost) or searches.failed or searches.torn)

    def __str__(self) -> str:
        kept, seen = self.kept, self.searches
        slowest = max(seen.seconds, default=0.0)
        median = sorted(seen.seconds)[len(seen.seconds) // 2] if seen.seconds else 0.0
        return (
            f"{kept.answers} ingests acknowledged, {len(kept.failed)} refused, in"
            f" {self.seconds:.0f} s; a node was away for {self.down_seconds:.0f} s\n"
            f"acknowledged and lost, by each node: {[len(one) for one in self.lost]}"
            f"{'' if self.is_recovered else '; copies are NOT all active again'}\n"
            f"{len(seen.seconds)} of {seen.asked} searches answered (median {median * 1000:.0f} ms,"
            f" slowest {slowest:.1f} s), {seen.torn} with two versions of a document"
        )


async def measure(ingests: int, searches: int, tell: Callable[[str], None]) -> Result:
    """Raises NoQdrantError where there is no server to be had."""
    with running_cluster(3) as servers:
        tell("three nodes run")
        kept, seen, until = Kept(), Searches(), asyncio.Event()
        began, times, restarts = time.monotonic(), [0.0, 0.0], list[asyncio.Task[None]]()

        def reached(count: int) -> None:
            if count == ingests // 3:
                servers[0].kill()
                times[0] = time.monotonic()
                tell(f"{count} ingests; the node that is asked is killed")
            elif count == 2 * ingests // 3:
                times[1] = time.monotonic()
                restarts.append(asyncio.create_task(asyncio.to_thread(servers[0].start)))
                tell(f"{count} ingests; it is started again")
            elif count % 100 == 0:
                tell(f"{count} ingests, {seen.asked} searches")

        async with opened([server.url for server in servers]) as store:
            await store.create_collection(COLLECTION, MODEL)
            async with asyncio.TaskGroup() as group:
                for _ in range(SEARCHERS):
                    group.create_task(search(store, searches, until, seen))
                await write(store, ingests, kept, reached)
                until.set()
            await asyncio.gather(*restarts)
        seconds = time.monotonic() - began
        is_recovered = await recovered(servers)
        tell("every node is asked alone")
        losses = []
        for server in servers:
            async with opened([server.url]) as store:
                losses.append(await lost(store, kept))
        return Result(kept, seen, seconds, times[1] - times[0], is_recovered, losses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ingests", type=int, default=1000)
    parser.add_argument("--searches", type=int, default=1000)
    options = parser.parse_args()

    async def bounded() -> Result:
        async with asyncio.timeout(BOUND_SECONDS):
            return await measure(
                options.ingests, options.searches, lambda line: print(line, flush=True)
            )

    result = asyncio.run(bounded())
    print(result)
    for line in chain(result.kept.failed[:5], result.searches.failed[:5], *result.lost):
        print(line)
    sys.exit(not result.is_good)


if __name__ == "__main__":
    main()
