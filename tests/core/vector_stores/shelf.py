"""Vector stores of one process over a real state, real files and a real store of vectors."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from llm_api.assembly.retrieval import VectorStoreOptions, open_vector_store
from llm_api.core.files.files import FileService
from llm_api.core.files.opened import new_files
from llm_api.core.files.options import FileOptions
from llm_api.core.rag.ingest import each
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.state.file_records import NewFile
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from llm_api.core.vector_stores.access import StoreAccess
from llm_api.core.vector_stores.batches import FileBatches
from llm_api.core.vector_stores.bringing_in import bringing_files_in
from llm_api.core.vector_stores.store_files import StoreFiles
from llm_api.core.vector_stores.stores import VectorStores
from llm_api.core.vector_stores.views import NewStoreFile, StoreDescription
from tests.core.rag.fakes import FakeEmbedder, retrieval_over
from tests.live import PATIENCE_SECONDS

OWNER = "alice"
numbers = count(1)


@dataclass(frozen=True)
class Desk:
    """What one caller does in a process."""

    access: StoreAccess
    state: State
    retrieval: Retrieval
    service: FileService

    @property
    def stores(self) -> VectorStores:
        return VectorStores(self.access)

    @property
    def files(self) -> StoreFiles:
        return StoreFiles(self.access)

    @property
    def batches(self) -> FileBatches:
        return FileBatches(self.access)

    async def store(self, *, expires_days: int | None = None) -> str:
        return (await self.stores.create(StoreDescription(), expires_days)).id

    async def upload(self, text: str | bytes, name: str = "notes.txt") -> str:
        data = text if isinstance(text, bytes) else text.encode()
        new = NewFile(f"file-{next(numbers):04}", name, "text/plain", "assistants", 0.0)
        return (await self.access.files.create(new, each([data]))).id

    async def uploads(self, count: int, characters: int) -> list[NewStoreFile]:
        """So many files of different texts, each of about so many characters."""
        texts = (f"File {n} begins. " + f"word{n} " * (characters // 6) for n in range(count))
        return [NewStoreFile(await self.upload(text)) for text in texts]

    async def statuses(self, id: str, files: Sequence[NewStoreFile]) -> list[str]:
        return [(await self.files.get(id, one.file_id)).status for one in files]

    async def ended(self, id: str) -> None:
        """Wait until nothing is on its way into the store. Counts add up at every look."""

        async def has_ended() -> bool:
            return not (await self.stores.get(id)).counts.in_progress

        await until(has_ended)


async def until(is_true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_true():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def process(
    folder: Path,
    embedder: FakeEmbedder,
    retrieval_of: Callable[[str], Retrieval] | None = None,
    *,
    runs: bool = True,
    now: Callable[[], float] | None = None,
) -> AsyncGenerator[Desk, None]:
    """What a process has open, until it stops. With `runs` it brings files in."""
    async with AsyncExitStack() as stack:
        state = await stack.enter_async_context(aclosing(State(StateOptions(folder / "state"))))
        options = VectorStoreOptions(folder / "vectors")
        store = await stack.enter_async_context(open_vector_store(options))
        loader = await stack.enter_async_context(FileLoader(processes=1))
        retrieval = retrieval_over(store, embedder, loader, state)
        files = new_files(FileOptions(folder / "files"), state)
        if runs:
            found = retrieval_of or (lambda _: retrieval)
            await stack.enter_async_context(bringing_files_in(state, files, retrieval, found))
        access = StoreAccess(retrieval, state, files.of(OWNER), OWNER)
        if now is not None:
            access = StoreAccess(retrieval, state, files.of(OWNER), OWNER, now)
        yield Desk(access, state, retrieval, files)
