"""Kills the embedded store at random moments, and looks whether it kept its word.

`python -m scripts.kill_store --kills 20`; each kill takes a few seconds. A child process writes,
replaces and deletes documents without end, and notes each answer it got. It is killed with SIGKILL,
and every other time, at the same moment, the process that holds the store. Then it is opened anew:

- what was acknowledged last of each document is there, or what was in flight at the kill, whole;
- no document has chunks of two versions;
- the writes of before, done again, leave every document once.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TypeAlias

import numpy as np

from llm_api.core.rag.filters import EVERYTHING
from llm_api.core.rag.stores.edge_process import open_edge_process
from llm_api.core.rag.types import Chunk, Document, Span
from llm_api.core.rag.vector_store import (
    EmbeddedChunk,
    EmbeddingModel,
    NewDocument,
    QueryVector,
    SearchQuery,
    VectorStore,
)

Problem: TypeAlias = str

DOCUMENTS = 12
CHUNKS = 40
MODEL = EmbeddingModel("random", 32)
VECTOR = np.ones(MODEL.dimension, np.float32)


def document(number: int, version: int) -> NewDocument:
    """Version `version` of a document: all its chunks say which it is."""
    id_, text = f"d{number}", f"v{version}"
    chunks = [
        EmbeddedChunk(Chunk(f"{id_}-{n}", id_, n, text, Span(0, len(text))), VECTOR, text)
        for n in range(CHUNKS)
    ]
    return NewDocument(Document(id_, text), text, chunks)


async def write(folder: Path, seed: int) -> None:
    """Write for ever. Prints what is about to be done, and what has been done."""
    choose = random.Random(seed)  # noqa: S311 - no cryptography
    async with open_edge_process(folder) as store:
        await store.create_collection("c", MODEL)
        print(f"store {store.process_id}", flush=True)
        for version in range(1_000_000):
            number = choose.randrange(DOCUMENTS)
            if choose.random() < 0.2:
                print(f"begin {number} gone", flush=True)
                await store.delete_documents("c", [f"d{number}"])
                print(f"done {number} gone", flush=True)
            else:
                print(f"begin {number} v{version}", flush=True)
                await store.replace_documents("c", MODEL.model, [document(number, version)])
                print(f"done {number} v{version}", flush=True)


def kill_once(folder: Path, choose: random.Random, longest_seconds: float) -> list[Problem]:
    """Let a writer write for a random while, kill it, and check what it leaves."""
    arguments = [sys.executable, "-m", "scripts.kill_store", "--write", str(folder)]
    with subprocess.Popen(
        [*arguments, "--seed", str(choose.randrange(2**32))], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None  # noqa: S101 - it was asked for
        store_process = int(writer.stdout.readline().split()[1])
        time.sleep(choose.random() * longest_seconds)
        writer.kill()
        if choose.random() < 0.5:
            os.kill(store_process, signal.SIGKILL)
        said = writer.stdout.read().splitlines()
    return asyncio.run(check(folder, [line.split() for line in said]))


async def check(folder: Path, said: list[list[str]]) -> list[Problem]:
    """What is wrong with the store, given what its writer said."""
    acknowledged: dict[str, str] = {}
    in_flight: dict[str, str] = {}
    for word, number, state in (line for line in said if len(line) == 3):
        if word == "begin":
            in_flight = {f"d{number}": state}
        else:
            acknowledged[f"d{number}"], in_flight = state, {}
    problems = []
    async with open_edge_process(folder) as store:
        found = await states(store)
        for id_ in (f"d{number}" for number in range(DOCUMENTS)):
            allowed = {acknowledged.get(id_, "gone"), in_flight.get(id_, "")}
            if found.get(id_, "gone") not in allowed:
                problems.append(f"{id_} is {found.get(id_, 'gone')}, not one of {allowed}")
        again = [document(number, -1) for number in range(DOCUMENTS)]
        for _ in range(2):
            await store.replace_documents("c", MODEL.model, again)
        collection = await store.describe_collection("c")
        if (collection.documents, collection.chunks) != (DOCUMENTS, DOCUMENTS * CHUNKS):
            problems.append(f"after all was written again there are {collection}")
        await store.delete_collection("c")
    return problems


async def states(store: VectorStore, name: str = "c") -> dict[str, str]:
    """Document id -> its version, or what is wrong with it."""
    query = SearchQuery("dense", 10_000, vector=QueryVector(MODEL.model, VECTOR))
    hits = await store.search(name, query)
    texts: dict[str, list[str]] = {}
    for hit in hits:
        texts.setdefault(hit.chunk.document_id, []).append(hit.chunk.text)
    page = await store.list_documents(name, EVERYTHING, None, 1000)
    return {
        one.id: texts[one.id][0]
        if texts.get(one.id) == [one.content_hash] * CHUNKS
        else f"in pieces: {texts.get(one.id)}"
        for one in page.documents
    } | dict.fromkeys(texts.keys() - {one.id for one in page.documents}, "without a record")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write is not None:
        asyncio.run(write(options.write, options.seed))
    choose, failures = random.Random(options.seed), 0  # noqa: S311 - no cryptography
    with tempfile.TemporaryDirectory() as folder:
        for kill in range(1, options.kills + 1):
            problems = kill_once(Path(folder), choose, longest_seconds=3.0)
            failures += bool(problems)
            print(f"kill {kill}: {'; '.join(problems) or 'nothing lost, nothing half'}", flush=True)
    sys.exit(f"{failures} of {options.kills} kills did harm" if failures else 0)


if __name__ == "__main__":
    main()
