"""A program that opens a collection's folder which has no seal, and reads every document in it.

It ends with 1, or by a signal, where the engine cannot: so it is not the store's process that dies.
On standard output it says why, or which documents are not whole: `{"error": ...}` or
`{"broken": [...]}`. It stops to read after `READ_SECONDS`: what is left was opened, not read.
"""

import asyncio
import json
import os
import sys
import threading
import time
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Final, cast

import numpy as np

from llm_api.core.rag.stores import layout
from llm_api.core.rag.stores.edge_points import EdgePoints, load_shard
from llm_api.core.rag.stores.points import Payload, Points, StoredPoint

CHECK_SECONDS: Final = 120.0
READ_SECONDS: Final = 20.0
_TOGETHER: Final = 64
_NAMED: Final = 100


async def check(folder: Path) -> tuple[str | None, list[str]]:
    """Why the folder cannot be opened, or None and the ids of documents that are not whole."""
    module = f"{__package__}.edge_check"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, str(folder)), stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            said = await cast("asyncio.StreamReader", process.stdout).read()
            await process.wait()
    except TimeoutError:
        return f"the engine has not opened it within {CHECK_SECONDS:.0f} seconds", []
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        answer = json.loads(said)
        return answer.get("error"), list(answer.get("broken", ()))
    except ValueError:
        return f"the engine dies of it (status {process.returncode})", []


async def broken_documents(points: Points, deadline: float) -> list[str]:
    """Ids of documents whose parts do not fit together, `_NAMED` at most."""
    broken: list[str] = []
    start = None
    while time.monotonic() < deadline and len(broken) < _NAMED:
        page, start = await points.scroll(layout.DOCUMENTS, _TOGETHER, start)
        payloads = [record.payload for record in page.values()]
        broken += [
            str(one.get("document_id")) for one in payloads if not await _is_whole(points, one)
        ]
        if start is None:
            break
    return broken


async def _is_whole(points: Points, payload: Payload) -> bool:
    try:
        record = layout.read_document(payload)
        ids = record.written().part_ids()
        parts = await points.retrieve(ids)
        text, _ = layout.read_content([parts[id_].payload for id_ in ids])
        chunks = await points.retrieve(record.written().chunk_ids(), with_vectors=True)
    except (ValueError, KeyError):
        return False
    return (
        len(text) == record.characters
        and len(chunks) == record.chunks
        and all(_is_of(text, chunk) for chunk in chunks.values())
    )


def _is_of(text: str, point: StoredPoint) -> bool:
    """Whether a chunk has the words that stand in its place, and a vector of length 1, or none."""
    try:
        chunk = layout.read_chunk(point.payload)
    except ValueError:
        return False
    words = text[chunk.start : chunk.end]
    length = 0.0 if point.dense is None else float(np.linalg.norm(point.dense))
    return words == chunk.text and (length == 0 or abs(length - 1) < 0.01)


async def _read(folder: Path) -> dict[str, object]:
    try:
        shard = load_shard(folder)
        points = EdgePoints(shard, folder, lambda _: None, is_durable=False)
        broken = await broken_documents(points, time.monotonic() + READ_SECONDS)
        points.close()
    except BaseException as error:  # noqa: BLE001 - the engine panics with one of those
        return {"error": f"the engine cannot open it ({_without_path(str(error), folder)})"}
    return {"broken": broken}


def _without_path(message: str, folder: Path) -> str:
    return message.replace(f"{folder}/", "").replace(str(folder), "")[:300]


def _end_with_the_store() -> None:
    """Standard input ends when the process does that wants to know: nobody else has the folder."""
    sys.stdin.buffer.read()
    os._exit(1)


def main(folder: str) -> None:
    threading.Thread(target=_end_with_the_store, daemon=True).start()
    answer = asyncio.run(_read(Path(folder)))
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit("error" in answer)


if __name__ == "__main__":
    main(sys.argv[1])
