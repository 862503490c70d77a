"""Brings files into vector stores: read, cut, embedded and stored, a group at a time.

Every file ends: completed, failed or cancelled. Where the process is killed, another begins anew
with what had not ended.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from llm_api.core.errors import (
    CollectionNotFoundError,
    FileTooLargeError,
    LLMAPIError,
    StoredFileNotFoundError,
    UnreadableFileError,
)
from llm_api.core.files.files import FileService, OwnedFiles
from llm_api.core.rag.files import declared_charset
from llm_api.core.rag.loaders.kinds import binary_kind
from llm_api.core.rag.loaders.loaded import FileLimits
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.types import Document
from llm_api.core.state.state import State
from llm_api.core.state.store_records import FileEnd, StoreFile
from llm_api.core.utils.background_loop import looping
from llm_api.core.utils.long_work import to_the_end
from llm_api.core.vector_stores.access import stored_of
from llm_api.core.vector_stores.views import chunks_from_json, document_metadata

if TYPE_CHECKING:
    from llm_api.core.state.store_file_queue import StoreFileQueue

log = logging.getLogger(__name__)

NOTE_SECONDS: Final = 0.1
"""How often it is stored which files have ended."""
LOOK_SECONDS: Final = 1.0
"""How often it is seen whether a file waits that another process was given."""
MAX_BYTES: Final = FileLimits().file_bytes

Fault: TypeAlias = Literal["server_error", "unsupported_file", "invalid_file"]

RetrievalOf = Callable[[str], Retrieval]
"""Retrieval as an owner may use it at that moment. Raises LLMAPIError where the owner may not (any
more)."""


@asynccontextmanager
async def bringing_files_in(
    state: State, files: FileService, retrieval: Retrieval, retrieval_of: RetrievalOf
) -> AsyncGenerator[None, None]:
    """Files are brought in inside; those under way at the end are left to who comes next.

    `retrieval` is the server's own.
    """
    bringing = _Bringing(state, files, retrieval, retrieval_of)
    async with looping(bringing.turn, "store-files"):
        yield


@dataclass(frozen=True, slots=True)
class _Bringing:
    state: State
    files: FileService
    retrieval: Retrieval
    retrieval_of: RetrievalOf

    async def turn(self) -> None:
        """One group of files, or a wait for it."""
        await self.state.used()
        queue = (await self.state.vector_stores()).queue
        if group := await queue.claim():
            await _Group(self, queue, group).bring_in()
        else:
            await queue.changed(LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class _End:
    """How a file ended. `code` and `error` say why it failed."""

    file: StoreFile
    status: FileEnd
    code: str = ""
    error: str = ""


class _Group:
    """Files of one store and owner that are cut in one way."""

    def __init__(
        self, bringing: _Bringing, queue: "StoreFileQueue", files: Sequence[StoreFile]
    ) -> None:
        self._bringing = bringing
        self._store = bringing.retrieval.store
        self._queue = queue
        self._open = {one.file_id: one for one in files}
        self._ends: list[_End] = []
        self._store_id, self._owner = files[0].store_id, files[0].owner
        self._chunks = chunks_from_json(files[0].chunking)

    async def bring_in(self) -> None:
        """To the end of all of them, or to this process's."""
        work = asyncio.create_task(self._ingest(), name=f"into-{self._store_id}")
        try:
            while not work.done():
                await asyncio.wait([work], timeout=NOTE_SECONDS)
                await self._store_ends()
            self._end_others(work.exception())
            await self._store_ends()
        except asyncio.CancelledError:
            work.cancel()
            await to_the_end(self._leave(work))
            raise
        except BaseException:
            work.cancel()
            await asyncio.wait([work])
            raise

    async def _leave(self, work: "asyncio.Task[None]") -> None:
        await asyncio.wait([work])
        await self._store_ends()
        await self._queue.release(self._store_id, list(self._open))

    async def _ingest(self) -> None:
        retrieval = self._bringing.retrieval_of(self._owner)
        if self._chunks is not None:
            retrieval = replace(retrieval, chunks=self._chunks)
        await self._store.describe_collection(self._store_id)  # an ingest would make it anew
        await retrieval.ingest(self._store_id, self._documents(), self._report)

    async def _documents(self) -> AsyncGenerator[Document, None]:
        """The files that can be read; the others end here."""
        files = self._bringing.files.of(self._owner)
        for file in list(self._open.values()):
            wishes = await self._queue.wishes(self._store_id, [file.file_id])
            if wishes.get(file.file_id, "detach") is not None:
                await self._skip(file)
            elif (document := await self._read(files, file)) is not None:
                yield document

    async def _read(self, files: OwnedFiles, file: StoreFile) -> Document | None:
        loader = self._bringing.retrieval.loader
        data = b""
        try:
            record = await files.get(file.file_id)
            data = await files.content(record, MAX_BYTES)
            loaded = await loader.load(data, file.filename, declared_charset(record.content_type))
        except (UnreadableFileError, FileTooLargeError, StoredFileNotFoundError) as error:
            self._fail(file, _fault_of(data, file.filename), error)
            return None
        metadata = document_metadata(file.filename, json.loads(file.attributes))
        return Document(file.file_id, loaded.text, file.filename, metadata, loaded.sections)

    async def _skip(self, file: StoreFile) -> None:
        """One that is not wanted any more. It may have been stored before a process was killed."""
        was_begun = file.attempts > 0 and not file.existed
        is_there = was_begun and await stored_of(self._store, self._store_id, [file.file_id])
        self._end(_End(file, "completed" if is_there else "cancelled"))

    def _report(self, outcome: DocumentOutcome) -> None:
        file = self._open[outcome.document_id]
        if outcome.what != "failed":
            self._end(_End(file, "completed"))
            return
        code = "invalid_file" if outcome.is_lasting else "server_error"
        self._end(_End(file, "failed", code, outcome.reason))

    def _fail(self, file: StoreFile, code: Fault, error: LLMAPIError) -> None:
        self._end(_End(file, "failed", code, " ".join(error.message.split())))

    def _end(self, end: _End) -> None:
        self._ends.append(end)
        del self._open[end.file.file_id]

    def _end_others(self, error: BaseException | None) -> None:
        """The store, the model or the key gave out, so that these were not come to."""
        why = "The server did not come to it; the log says more."
        if isinstance(error, LLMAPIError):
            why = " ".join(error.message.split())
        elif error is not None:
            log.error("bringing files into %s failed", self._store_id, exc_info=error)
        for file in list(self._open.values()):
            self._end(_End(file, "failed", "server_error", why))

    async def _store_ends(self) -> None:
        while self._ends:
            await self._store_end(self._ends[0])
            del self._ends[0]

    async def _store_end(self, end: _End) -> None:
        file = end.file
        is_there = end.status == "completed" or bool(
            await stored_of(self._store, self._store_id, [file.file_id])
        )
        outcome = await self._queue.end(file, end.status, end.code, end.error, is_there=is_there)
        if outcome == "unwanted":
            with suppress(CollectionNotFoundError):
                await self._store.delete_documents(self._store_id, [file.file_id])
            await self._queue.forget(self._store_id, file.file_id)


def _fault_of(data: bytes, filename: str) -> Fault:
    """Whether no file of this kind could be read, or just this one not. Pure."""
    try:
        binary_kind(data, filename)
    except UnreadableFileError:
        return "unsupported_file"
    return "invalid_file"
