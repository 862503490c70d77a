"""Retrieval as the server offers it: the store, what brings documents in, what finds them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.rag.chunking import MAX_BYTES_PER_TOKEN, ChunkSettings, split_document
from llm_api.core.rag.confined import ConfinedStore
from llm_api.core.rag.eval_jobs import EvalJobs
from llm_api.core.rag.files import FileReading, FileToIngest
from llm_api.core.rag.ingest import Ingester
from llm_api.core.rag.jobs import IngestJobs
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.prepare import Chunking
from llm_api.core.rag.reports import DocumentOutcome, Report, StageTimes
from llm_api.core.rag.retrieve import Retriever
from llm_api.core.rag.rights import EVERY_DOCUMENT, DocumentRights
from llm_api.core.rag.sources import SourceMemory
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import VectorStore
from llm_api.core.rag.web.fetcher import Web
from llm_api.core.rag.web.reading import PageReading, PageReport, PageToIngest
from llm_api.core.utils.long_work import to_the_end
from llm_api.core.utils.recent import Recent

LISTINGS = 8
LISTED_SECONDS = 60.0

SPECIAL_TOKENS = 8
"""What an embedder may put around a text, its prefix included; headings fit where they fit."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The opener closes its parts. `top_k` holds where a request does not say.

    All ingests share `turns`, so that one of them at a time computes in a thread. Whatever of it
    reaches documents does so through `store`, which `rights` confine. `listings` are for who pages
    through a collection: when its documents were made, by id, under whose and what listing it is.
    """

    store: VectorStore
    embedder: Embedder
    loader: FileLoader
    jobs: IngestJobs
    retriever: Retriever
    chunks: ChunkSettings
    top_k: int
    evals: EvalJobs = field(kw_only=True)
    sources: SourceMemory = field(kw_only=True)
    web: Web = field(default_factory=Web, kw_only=True)
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)
    listings: Recent[tuple[str, ...], Mapping[str, float]] = field(
        default_factory=lambda: Recent(LISTINGS, LISTED_SECONDS)
    )
    rights: DocumentRights = EVERY_DOCUMENT

    def within(self, rights: DocumentRights) -> "Retrieval":
        """As much of it as these rights permit."""
        if not rights.are_limited:
            return self
        store = ConfinedStore(self.store, rights)
        return replace(self, store=store, retriever=self.retriever.over(store), rights=rights)

    def through(self, embedder: Embedder) -> "Retrieval":
        """The same with another way to the same embedding model."""
        return replace(self, embedder=embedder, retriever=self.retriever.through(embedder))

    @property
    def times(self) -> StageTimes:
        """Of all searches and ingests."""
        return self.retriever.times

    async def chunking(self) -> Chunking:
        """How documents are cut here."""
        return await chunking_for(self.embedder, self.chunks, self.turns)

    async def ingest(
        self, collection: str, documents: AsyncIterable[Document], report: Report
    ) -> None:
        """As `Ingester.ingest`; raises PermissionDeniedError for what the rights do not permit."""

        def counted(outcome: DocumentOutcome) -> None:
            self.times.documents[outcome.what] += 1
            report(outcome)

        ingester = Ingester(self.store, self.embedder, await self.chunking(), self.times)
        await ingester.ingest(collection, self._admitted(documents), counted)

    async def _admitted(self, documents: AsyncIterable[Document]) -> AsyncGenerator[Document, None]:
        async for document in documents:
            yield self.rights.admitted(document)

    async def ingest_files(
        self, owner: str, collection: str, files: Iterable[FileToIngest], report: Report
    ) -> None:
        """Read and store files. Which of them cannot be read is remembered for the owner."""
        reading = FileReading(self.loader, files, report)
        try:
            await self.ingest(collection, reading.documents(), reading.report)
        finally:
            noting = self.sources.note_failures(owner, collection, reading.unreadable)
            await to_the_end(noting)

    async def ingest_pages(
        self, collection: str, pages: Sequence[PageToIngest], report: PageReport
    ) -> None:
        """Fetch, read and store web pages. Those that have not changed are left as they are."""
        async with self.web.fetching() as fetcher:
            reading = PageReading(fetcher, self.loader, self.store, collection, report)
            await self.ingest(collection, reading.documents(pages), reading.report)


async def chunking_for(
    embedder: Embedder, settings: ChunkSettings, turns: asyncio.Lock
) -> Chunking:
    """Chunks by the embedder's own tokens, none longer than it reads.

    Opens the model if need be.
    """
    count_tokens = await embedder.token_counter()
    longest = embedder.card.max_tokens
    if longest is not None and settings.chunk_tokens > longest - SPECIAL_TOKENS:
        size = max(longest - SPECIAL_TOKENS, 1)
        settings = replace(
            settings, chunk_tokens=size, overlap_tokens=min(settings.overlap_tokens, size // 4)
        )
    split = partial(split_document, settings=settings, count_tokens=count_tokens)
    rules = settings.chunk_tokens, settings.overlap_tokens, MAX_BYTES_PER_TOKEN
    return Chunking(split, "/".join(map(str, rules)), turns)
