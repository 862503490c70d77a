"""The embedded store as the server sees it: in a separate process, started again if it dies.

Every method is a call of the same name there. A read is answered within the timeout, or an error; a
write may take longer, as long as the process shows that it is alive. One that does not is killed,
which is safe at any moment: what was acknowledged is durable, what was not is cleaned up.
"""

import asyncio
import itertools
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

from llm_api.core.errors import VectorStoreUnavailableError
from llm_api.core.rag.filters import EVERYTHING, Filter
from llm_api.core.rag.stores.calls import Call, Reply, encode, read
from llm_api.core.rag.types import Document, Metadata
from llm_api.core.rag.vector_store import (
    Collection,
    DocumentPage,
    DocumentRecord,
    EmbeddingModel,
    Hit,
    NewDocument,
    SearchQuery,
    TunedSearch,
    VectorStore,
    Written,
)
from llm_api.core.utils.child_process import ChildProcess, start_child

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

_OPENING = 0
"""The number of the answer that says that the store is open."""

_READS = frozenset(
    {
        "describe_collection",
        "list_collections",
        "get_document",
        "get_documents",
        "read_document",
        "list_documents",
        "read_tuning",
        "search",
    }
)
"""Calls that are answered within the timeout. The others may be large, and take longer."""

_CLOSE_SECONDS = 3.0
_CLOSE_SECONDS_IF_OWING = 1.0
"""How long the process may take to end; the shorter if it still owes an answer."""

_START_SECONDS = 60.0
"""How long until a new process is heard of: a busy machine takes its time to load the engine."""

_CHECKS = 8
"""How often within the timeout it is looked whether the process was heard of.

Checks are counted, not seconds: while the event loop stands still, nobody can be heard.
"""


class _Worker:
    """The process that holds the store, and who waits for its answers."""

    def __init__(self, process: ChildProcess, timeout_seconds: float) -> None:
        self.process = process
        self._check_seconds = timeout_seconds / _CHECKS
        self._calls = process.stdin
        self._numbers = itertools.count(_OPENING + 1)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._silent_checks = 0
        self._bearable_checks = _START_SECONDS / self._check_seconds
        self._has_ended = False
        self._opened = self._expect(_OPENING)
        self._opened.add_done_callback(_look_at)
        self._watching = asyncio.create_task(self._watch())
        self._reading = asyncio.create_task(self._read(process.stdout))

    @property
    def has_ended(self) -> bool:
        """Whether it answers nothing any more, though its process may still be there."""
        return self._has_ended or self._reading.done()

    async def opened(self) -> None:
        """Returns when the store is open. Raises what keeps it from opening."""
        await asyncio.shield(self._opened)

    async def ask(self, method: str, arguments: tuple[object, ...]) -> object:
        """What the call returns there. Raises what it raises."""
        call = Call(next(self._numbers), method, arguments)
        frame = encode(call) if method in _READS else await asyncio.to_thread(encode, call)
        if self.has_ended:
            raise _ended()
        answer = self._expect(call.number)
        self._calls.write(frame)
        return await answer

    async def close(self) -> None:
        """Let the store finish what it was asked, if that does not take long."""
        self._calls.close()
        seconds = _CLOSE_SECONDS_IF_OWING if self._waiting else _CLOSE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self.process.wait()
        except TimeoutError:
            self._kill()
        await self._reading
        await self.process.wait()

    async def gone(self) -> None:
        """Returns once the process, which has ended, is no more: it may hold the folder's lock."""
        await asyncio.wait([self._reading])

    def _expect(self, number: int) -> asyncio.Future[object]:
        if not self._waiting:
            self._silent_checks = 0
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        return answer

    async def _read(self, answers: asyncio.StreamReader) -> None:
        while (message := await read(answers)) is not None:
            self._silent_checks, self._bearable_checks = 0, _CHECKS
            if isinstance(message, Reply):
                _settle(self._waiting.pop(message.number), message)
        self._has_ended = True
        self._watching.cancel()
        for number, waiting in self._waiting.items():
            _settle(waiting, Reply(number, error=_unopened() if number == _OPENING else _ended()))
        self._waiting.clear()
        await self.process.end()  # it has closed its output: it is ending, or mad

    async def _watch(self) -> None:
        """Kill the process if it owes an answer, and is not heard of for the timeout."""
        while self._silent_checks < self._bearable_checks:
            await asyncio.sleep(self._check_seconds)
            self._silent_checks = self._silent_checks + 1 if self._waiting else 0
        log.error("the vector store's process gives no sign of life: it is killed, and replaced")
        self._kill()

    def _kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


def _settle(waiting: "asyncio.Future[object]", answer: Reply) -> None:
    if waiting.done():  # the caller has gone
        return
    if answer.error is None:
        waiting.set_result(answer.value)
    else:
        waiting.set_exception(answer.error)


def _look_at(future: "asyncio.Future[object]") -> None:
    """So that nobody complains of an exception which nobody has waited for."""
    if not future.cancelled():
        future.exception()


def _unopened() -> VectorStoreUnavailableError:
    return VectorStoreUnavailableError("The vector store could not be opened; the log says why.")


def _ended() -> VectorStoreUnavailableError:
    return VectorStoreUnavailableError("The vector store has ended; it starts anew.")


class EdgeProcess:
    """The store in `folder`, or in memory without one. Use `open_edge_process`.

    A call that is cancelled is carried out nevertheless.
    """

    def __init__(self, folder: Path | None, timeout_seconds: float = 10.0) -> None:
        self._folder = folder
        self._timeout_seconds = timeout_seconds
        self._is_closed = False
        self._starting = asyncio.Lock()
        self._worker: _Worker | None = None

    @property
    def process_id(self) -> int | None:
        """Of the process that holds the store, while there is one."""
        worker = self._worker
        return None if worker is None or worker.has_ended else worker.process.pid

    async def running(self) -> _Worker:
        """The process with its store open, started if there is none.

        Raises VectorStoreLockedError if another process has the folder open, or whatever else
        keeps the store from opening.
        """
        async with self._starting:
            if self._is_closed:
                raise VectorStoreUnavailableError("The server is stopping.")
            if self._worker is None or self._worker.has_ended:
                if self._worker is not None:
                    await self._worker.gone()
                self._worker = _Worker(await _start(self._folder), self._timeout_seconds)
            worker = self._worker
        await worker.opened()
        return worker

    async def aclose(self) -> None:
        """Close the store and end its process. Idempotent."""
        self._is_closed = True
        async with self._starting:
            if self._worker is not None:
                await self._worker.close()

    async def _call(
        self,
        method: Callable[Concatenate[VectorStore, P], Awaitable[R]],
        *args: P.args,
        **_: P.kwargs,
    ) -> R:
        name = method.__name__
        try:
            async with asyncio.timeout(self._timeout_seconds if name in _READS else None):
                worker = await self.running()
                return cast("R", await worker.ask(name, args))
        except TimeoutError as error:
            raise VectorStoreUnavailableError("The vector store does not answer.") from error

    async def create_collection(self, name: str, embedding: EmbeddingModel) -> None:
        await self._call(VectorStore.create_collection, name, embedding)

    async def describe_collection(self, name: str, within: Filter = EVERYTHING) -> Collection:
        return await self._call(VectorStore.describe_collection, name, within)

    async def list_collections(self) -> tuple[Collection, ...]:
        return await self._call(VectorStore.list_collections)

    async def delete_collection(self, name: str) -> None:
        await self._call(VectorStore.delete_collection, name)

    async def read_tuning(self, collection: str) -> TunedSearch | None:
        return await self._call(VectorStore.read_tuning, collection)

    async def write_tuning(self, collection: str, tuned: TunedSearch | None) -> None:
        await self._call(VectorStore.write_tuning, collection, tuned)

    async def rename_collection(self, name: str, new_name: str) -> None:
        await self._call(VectorStore.rename_collection, name, new_name)

    async def replace_documents(
        self,
        collection: str,
        model: str,
        documents: Sequence[NewDocument],
        within: Filter = EVERYTHING,
    ) -> tuple[Written, ...]:
        return await self._call(VectorStore.replace_documents, collection, model, documents, within)

    async def delete_documents(
        self, collection: str, ids: Sequence[str], within: Filter = EVERYTHING
    ) -> int:
        return await self._call(VectorStore.delete_documents, collection, ids, within)

    async def delete_matching(self, collection: str, filter: Filter) -> int:
        return await self._call(VectorStore.delete_matching, collection, filter)

    async def get_document(self, collection: str, document_id: str) -> DocumentRecord:
        return await self._call(VectorStore.get_document, collection, document_id)

    async def get_documents(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, DocumentRecord]:
        return await self._call(VectorStore.get_documents, collection, ids)

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
        self,
        collection: str,
        document_id: str,
        metadata: Metadata,
        title: str | None = None,
        within: Filter = EVERYTHING,
    ) -> DocumentRecord:
        return await self._call(
            VectorStore.update_metadata, collection, document_id, metadata, title, within
        )

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        return await self._call(VectorStore.search, collection, query)


@asynccontextmanager
async def open_edge_process(
    folder: Path | None, timeout_seconds: float = 10.0
) -> AsyncGenerator[EdgeProcess, None]:
    """The store in a folder, or in memory without one, in a process that ends with the block.

    The process begins with the first call: who never asks for documents never pays for it.
    """
    store = EdgeProcess(folder, timeout_seconds)
    try:
        yield store
    finally:
        await store.aclose()


async def _start(folder: Path | None) -> ChildProcess:
    module = f"{__package__}.edge_worker"
    # Ctrl-C in a terminal is for its owner: until it is imported, it would show a traceback.
    return await start_child(sys.executable, "-m", module, str(folder or ""), has_own_session=True)
