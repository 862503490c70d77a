"""Which documents have to be embedded, and as what.

Leaves documents that are stored already as they are.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.identity import content_hash
from llm_api.core.rag.metadata import check_metadata
from llm_api.core.rag.reports import FAULTS_OF_ONE, DocumentOutcome, Report, failed
from llm_api.core.rag.types import Chunk, Document, Metadata
from llm_api.core.rag.vector_store import DocumentRecord, VectorStore
from llm_api.core.utils.long_work import in_slices, to_the_end

log = logging.getLogger(__name__)

MAX_HEADER: Final = 200
"""Characters: about 50 tokens, which a chunk of 200 leaves free in a model that reads 256."""

MAX_CHUNKS: Final = 100_000
"""Of one document, which is embedded and stored as a whole: 90 MB of English."""

_ASKED_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Chunking:
    """How documents are cut: with the same `settings` into the same chunks.

    `split` computes while it is iterated over, a little for each chunk. Those that share `turns` do
    so one after the other.
    """

    split: Callable[[Document], Iterator[Chunk]]
    settings: str
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document to be embedded: `passages` are its chunks as the model and BM25 read them."""

    document: Document
    content_hash: str
    chunks: Sequence[Chunk]
    passages: Sequence[str]


class Preparation:
    """That of one ingest into `collection`, whose vectors are those of `model`."""

    def __init__(
        self, store: VectorStore, chunking: Chunking, collection: str, model: str, report: Report
    ) -> None:
        self._store = store
        self._chunking = chunking
        self._collection = collection
        self._model = model
        self._report = report
        self._seen: dict[str, tuple[str, Metadata]] = {}
        self._repeated: list[str] = []

    async def prepare(self, documents: Sequence[Document]) -> list[Prepared]:
        """Those that have to be embedded. All others are reported, but for repeated ones."""
        steps = await in_slices(self._hashing(documents), self._chunking.turns)
        hashes = [digest for digest in steps if digest is not None]
        new = [pair for pair in zip(documents, hashes, strict=True) if self._is_new(*pair)]
        records = await self._records([document.id for document, _ in new])
        prepared = []
        for document, digest in new:
            record = records.get(document.id)
            try:
                check_metadata(document.metadata)
                if record is not None and base_hash(record.content_hash) == digest:
                    await self._keep(document, record)
                else:
                    prepared.append(await self._cut(document, digest))
            except FAULTS_OF_ONE as error:
                self._report(failed(document.id, error))
        return prepared

    async def report_repeated(self) -> None:
        """Report each repetition of a document, when all the rest is stored."""
        records = await self._records(self._repeated)
        for document_id in self._repeated:
            record = records.get(document_id)
            digest = self._seen[document_id][0]
            is_there = record is not None and base_hash(record.content_hash) == digest
            what = DocumentOutcome(document_id, "unchanged", record.chunks if record else 0)
            self._report(what if is_there else failed(document_id, _failed_before()))

    def _hashing(self, documents: Sequence[Document]) -> Iterator[str | None]:
        """The hash of each document, and None for each step on the way to it."""
        for document in documents:
            yield (yield from content_hash(document, self._chunking.settings, self._model))

    def _is_new(self, document: Document, digest: str) -> bool:
        """Whether this ingest has not had it. An id stands for one document alone."""
        this = digest, document.metadata
        earlier = self._seen.get(document.id)
        if earlier is None:
            self._seen[document.id] = this
        elif earlier == this:
            self._repeated.append(document.id)
        else:
            self._report(failed(document.id, _given_twice()))
        return earlier is None

    async def _records(self, ids: Sequence[str]) -> dict[str, DocumentRecord]:
        """What is stored under these ids, of those that are there."""
        found: dict[str, DocumentRecord] = {}
        for start in range(0, len(ids), _ASKED_AT_ONCE):
            some = ids[start : start + _ASKED_AT_ONCE]
            found.update(await self._store.get_documents(self._collection, some))
        return found

    async def _keep(self, document: Document, record: DocumentRecord) -> None:
        """The content is stored; the metadata may have changed."""
        if dict(record.metadata) == dict(document.metadata):
            self._report(DocumentOutcome(document.id, "unchanged", record.chunks))
            return
        await to_the_end(
            self._store.update_metadata(self._collection, document.id, document.metadata)
        )
        self._report(DocumentOutcome(document.id, "updated", record.chunks))

    async def _cut(self, document: Document, digest: str) -> Prepared:
        try:
            pairs = await in_slices(self._pieces(document), self._chunking.turns)
        except InvalidRequestError:
            raise
        except Exception as error:
            log.exception("cutting the document %s failed", document.id)
            raise InvalidRequestError("Cutting it into chunks failed; the log says why.") from error
        if not pairs:
            raise InvalidRequestError("There are no words in it.")
        return Prepared(
            document, digest, [chunk for chunk, _ in pairs], [words for _, words in pairs]
        )

    def _pieces(self, document: Document) -> Iterator[tuple[Chunk, str]]:
        """The chunks, and their passages. Raises InvalidRequestError where there are too many."""
        for number, chunk in enumerate(self._chunking.split(document)):
            if number == MAX_CHUNKS:
                raise InvalidRequestError(f"It has more than {MAX_CHUNKS:,} chunks; split it.")
            yield chunk, passage(document, chunk)


def _given_twice() -> InvalidRequestError:
    return InvalidRequestError(
        "It is given twice: another document here has the same id, or the same text and no id."
    )


def _failed_before() -> InvalidRequestError:
    return InvalidRequestError("The same document stands here before, and failed.")


def base_hash(stored: str) -> str:
    """Of a content hash, what does not depend on lines that place the chunks (`contexts`)."""
    return stored.partition("+")[0]


def passage(document: Document, chunk: Chunk) -> str:
    """What is embedded for this chunk, and what BM25 indexes.

    A header that is too long loses its outer parts as a whole: the title, then the outer headings.
    """
    header = [part for part in dict.fromkeys((document.title, *chunk.headings)) if part]
    while header and len("\n".join(header)) > MAX_HEADER:
        header.pop(0)
    return "\n".join([*header, chunk.text])
