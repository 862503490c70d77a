"""How fast the embedded store finds, next to qdrant-client's local mode, on the same vectors.

`python -m scripts.bench.vector_search`; 100,000 chunks take about five minutes and 2 GB of memory.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from qdrant_client import QdrantClient, models

from llm_api.assembly.retrieval import VectorStoreOptions, open_vector_store
from llm_api.core.rag.types import Chunk, Document, Span
from llm_api.core.rag.vector_store import (
    EmbeddedChunk,
    EmbeddingModel,
    NewDocument,
    QueryVector,
    SearchQuery,
    VectorStore,
)

MODEL = "random"
DIMENSION = 384
CLUSTERS = 1_000
NOISE = 0.7
CHUNKS_PER_DOCUMENT = 50
DOCUMENTS_AT_ONCE = 20
TOP_K = 10
SETTLED_SECONDS = 30
BLOCK = 50
PAUSE_SECONDS = 0.5

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """What one searcher needed for each question, in seconds, and how much of it was right."""

    name: str
    seconds: Sequence[float]
    recall: float


def clustered(count: int, questions: int) -> tuple[Vectors, Vectors]:
    """Unit vectors around random centres, and questions around the same ones."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLUSTERS, DIMENSION))
    chosen = centres[random.integers(CLUSTERS, size=count + questions)]
    vectors = chosen + NOISE * random.normal(size=chosen.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:count].astype(np.float32), vectors[count:].astype(np.float32)


def documents(vectors: Vectors) -> list[NewDocument]:
    """Documents whose chunks are these vectors, each under its number as text."""
    made = []
    for start in range(0, len(vectors), CHUNKS_PER_DOCUMENT):
        id_ = f"document {start}"
        chunks = [
            EmbeddedChunk(
                Chunk(f"{number}", id_, number - start, f"{number}", Span(0, 1)),
                vectors[number],
                f"chunk number {number}",
            )
            for number in range(start, min(start + CHUNKS_PER_DOCUMENT, len(vectors)))
        ]
        made.append(NewDocument(Document(id_, "text"), "hash", chunks))
    return made


async def fill(store: VectorStore, vectors: Vectors) -> None:
    await store.create_collection("bench", EmbeddingModel(MODEL, DIMENSION))
    made = documents(vectors)
    for start in range(0, len(made), DOCUMENTS_AT_ONCE):
        await store.replace_documents("bench", MODEL, made[start : start + DOCUMENTS_AT_ONCE])
    await _settle()


async def _settle() -> None:
    """Return when no index has been built for a while."""
    quiet = 0
    while quiet < SETTLED_SECONDS:
        quiet += 1
        await asyncio.sleep(1)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "llm_api.core.rag.stores.edge_index" in process.cmdline():
                    quiet = 0


async def search(store: VectorStore, question: Vectors) -> list[int]:
    query = SearchQuery("dense", TOP_K, vector=QueryVector(MODEL, question))
    return [int(hit.chunk.text) for hit in await store.search("bench", query)]


def local_mode(vectors: Vectors) -> QdrantClient:
    """qdrant-client without a server, with the same vectors in it."""
    client = QdrantClient(":memory:")
    params = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
    client.create_collection("bench", vectors_config=params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a server would be better for so many
        client.upload_collection("bench", vectors, ids=range(len(vectors)))
    return client


async def measure(count: int, questions: int) -> tuple[Found, Found]:
    """Both searchers asked in turns of a block each, so that the machine's moods hit both.

    Not question by question: numpy's threads spin on for a while after local mode has answered.
    """
    vectors, asked = clustered(count, questions)
    client = local_mode(vectors)
    ours, theirs, hits = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        async with open_vector_store(VectorStoreOptions(Path(folder))) as store:
            started = time.perf_counter()
            await fill(store, vectors)
            print(f"stored and indexed in {time.perf_counter() - started:.0f} s", flush=True)
            right = [exact(vectors, one) for one in asked]
            for start in range(0, questions, BLOCK):
                for number in range(start, min(start + BLOCK, questions)):
                    started = time.perf_counter()
                    found = await search(store, asked[number])
                    ours.append(time.perf_counter() - started)
                    hits += len(right[number] & set(found))
                for one in asked[start : start + BLOCK]:
                    started = time.perf_counter()
                    client.query_points("bench", one.tolist(), limit=TOP_K)
                    theirs.append(time.perf_counter() - started)
                await asyncio.sleep(PAUSE_SECONDS)
    return (
        Found("embedded store", ours, hits / TOP_K / questions),
        Found("qdrant-client local mode", theirs, 1.0),
    )


def exact(vectors: Vectors, question: Vectors) -> set[int]:
    """The numbers of the nearest vectors."""
    return set(np.argpartition(-(vectors @ question), TOP_K)[:TOP_K].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=300)
    options = parser.parse_args()
    ours, theirs = asyncio.run(measure(options.chunks, options.questions))
    for found in (ours, theirs):
        p50, p95 = np.percentile(found.seconds, [50, 95]) * 1000
        print(f"{found.name:25} p50 {p50:7.2f} ms   p95 {p95:7.2f} ms   recall {found.recall:.3f}")
    ratio = np.median(theirs.seconds) / np.median(ours.seconds)
    print(f"ratio of the medians: 1/{ratio:.1f}")


if __name__ == "__main__":
    main()
