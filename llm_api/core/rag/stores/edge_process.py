"""The embedded store as the server sees it: in a process of its own, started again if it dies.

Every method is a call of the same name there.
"""

import asyncio
import itertools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

from llm_api.core.errors import VectorStoreUnavailableError
from llm_api.core.rag.filters import Filter
from llm_api.core.rag.stores.calls import Answer, Call, encode, read
from llm_api.core.rag.types import Document, Metadata
from llm_api.core.rag.vector_store import (
    Collection,
    DocumentPage,
    DocumentRecord,
    Embedding,
    Hit,
    NewDocument,
    SearchQuery,
    VectorStore,
    Written,
)

P = ParamSpec("P")
R = TypeVar("R")

_CLOSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Worker:
    """The process that holds the store, and the pipes to it."""

    process: asyncio.subprocess.Process
    calls: asyncio.StreamWriter
    answers: asyncio.StreamReader


class EdgeProcess:
    """The store in `folder`, or in memory without one. Use `open_edge_process`.

    A call that is cancelled is carried out nevertheless.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._is_closed = False
        self._starting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._worker: _Worker | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def process_id(self) -> int | None:
        """Of the process that holds the store, while there is one."""
        return None if self._worker is None else self._worker.process.pid

    async def running(self) -> _Worker:
        """The process, started if there is none.

        Raises VectorStoreLockedError if another process has the folder open, or whatever else
        keeps the store from opening.
        """
        async with self._starting:
            if self._is_closed:
                raise VectorStoreUnavailableError("The server is stopping.")
            if self._worker is None:
                self._worker = await _start(self._folder)
                self._reading = asyncio.create_task(self._read(self._worker.answers))
            return self._worker

    async def aclose(self) -> None:
        """Let the store finish what it was asked, and close it. Idempotent."""
        self._is_closed = True
        if self._worker is None or self._reading is None:
            return
        process = self._worker.process
        self._worker.calls.close()
        try:
            await asyncio.wait_for(process.wait(), _CLOSE_SECONDS)
        except TimeoutError:
            process.kill()
        await self._reading

    async def _read(self, answers: asyncio.StreamReader) -> None:
        while isinstance(answer := await read(answers), Answer):
            waiting = self._waiting.pop(answer.number)
            if waiting.cancelled():
                continue
            if answer.error is None:
                waiting.set_result(answer.value)
            else:
                waiting.set_exception(answer.error)
        self._worker = None
        for waiting in self._waiting.values():
            if not waiting.cancelled():
                waiting.set_exception(VectorStoreUnavailableError("The vector store has ended."))
        self._waiting.clear()

    async def _call(
        self,
        method: Callable[Concatenate[VectorStore, P], Awaitable[R]],
        *args: P.args,
        **_: P.kwargs,
    ) -> R:
        worker = await self.running()
        call = Call(next(self._numbers), method.__name__, args)
        future = self._waiting[call.number] = asyncio.get_running_loop().create_future()
        worker.calls.write(encode(call))
        return cast("R", await future)

    async def create_collection(self, name: str, embedding: Embedding) -> None:
        await self._call(VectorStore.create_collection, name, embedding)

    async def describe_collection(self, name: str) -> Collection:
        return await self._call(VectorStore.describe_collection, name)

    async def list_collections(self) -> tuple[Collection, ...]:
        return await self._call(VectorStore.list_collections)

    async def delete_collection(self, name: str) -> None:
        await self._call(VectorStore.delete_collection, name)

    async def rename_collection(self, name: str, new_name: str) -> None:
        await self._call(VectorStore.rename_collection, name, new_name)

    async def replace_documents(
        self, collection: str, model: str, documents: Sequence[NewDocument]
    ) -> tuple[Written, ...]:
        return await self._call(VectorStore.replace_documents, collection, model, documents)

    async def delete_documents(self, collection: str, ids: Sequence[str]) -> int:
        return await self._call(VectorStore.delete_documents, collection, ids)

    async def delete_matching(self, collection: str, filter: Filter) -> int:
        return await self._call(VectorStore.delete_matching, collection, filter)

    async def get_document(self, collection: str, document_id: str) -> DocumentRecord:
        return await self._call(VectorStore.get_document, collection, document_id)

    async def read_document(self, collection: str, document_id: str) -> Document:
        return await self._call(VectorStore.read_document, collection, document_id)

    async def list_documents(
        self,
        collection: str,
        filter: Filter,
        cursor: str | None,
        limit: int,
    ) -> DocumentPage:
        return await self._call(VectorStore.list_documents, collection, filter, cursor, limit)

    async def update_metadata(
        self, collection: str, document_id: str, metadata: Metadata, title: str | None = None
    ) -> DocumentRecord:
        return await self._call(
            VectorStore.update_metadata, collection, document_id, metadata, title
        )

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        return await self._call(VectorStore.search, collection, query)


@asynccontextmanager
async def open_edge_process(folder: Path | None) -> AsyncGenerator[EdgeProcess, None]:
    """The store in a folder, or in memory without one, in a process that ends with the block.

    The process begins with the first call: who never asks for documents never pays for it.
    """
    store = EdgeProcess(folder)
    try:
        yield store
    finally:
        await store.aclose()


async def _start(folder: Path | None) -> _Worker:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{__package__}.edge_worker", str(folder or "")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    calls = cast("asyncio.StreamWriter", process.stdin)
    answers = cast("asyncio.StreamReader", process.stdout)
    ready = await read(answers)
    if isinstance(ready, Answer) and ready.error is None:
        return _Worker(process, calls, answers)
    calls.close()
    await process.wait()
    if isinstance(ready, Answer) and ready.error is not None:
        raise ready.error
    raise VectorStoreUnavailableError("The vector store could not be opened; the log says why.")
