"""A store in a dictionary, an embedder by words, cutting by lines, and retrieval over these."""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from llm_api.assembly.retrieval import VectorStoreOptions, open_vector_store
from llm_api.core.embeddings.embedder import (
    Embedder,
    EmbedderCard,
    EmbeddingRequest,
    Embeddings,
    TokenCounter,
    Vectors,
)
from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    EmbeddingMismatchError,
)
from llm_api.core.llm.backend import Backend
from llm_api.core.rag.answering.drafting import draft_question
from llm_api.core.rag.answering.placing import place_chunk
from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.eval_jobs import EvalJobs
from llm_api.core.rag.eval_runner import EvalWriting, running_evals
from llm_api.core.rag.filters import EVERYTHING, Filter
from llm_api.core.rag.job_runner import running_jobs
from llm_api.core.rag.jobs import IngestJobs
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.prepare import Chunking
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.retrieve import Retriever
from llm_api.core.rag.sources import SourceMemory
from llm_api.core.rag.types import Chunk, Document, Metadata, Span
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
from llm_api.core.rag.web.fetcher import Web
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State

MODEL = "words"
DIMENSION = 64


def vector_of(text: str) -> Vectors:
    """Of length 1; its cosine with another's grows with the words both share."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % DIMENSION] += 1
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector


@dataclass
class FakeEmbedder:
    """Remembers the requests. Raises `failure` for those that hold its text."""

    card: EmbedderCard = field(
        default_factory=lambda: EmbedderCard(MODEL, 0, "tests", dimension=DIMENSION)
    )
    failures: dict[str, Exception] = field(default_factory=dict)
    seconds: float = 0.0
    requests: list[EmbeddingRequest] = field(default_factory=list)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        self.requests.append(request)
        await asyncio.sleep(self.seconds)
        texts = [str(text) for text in request.inputs]
        for part, failure in self.failures.items():
            if any(part in text for text in texts):
                raise failure
        return Embeddings(np.stack([vector_of(text) for text in texts]), len(texts))

    async def token_counter(self) -> TokenCounter:
        return lambda texts: [len(text.split()) for text in texts]

    async def aclose(self) -> None:
        """Nothing to free."""

    @property
    def texts(self) -> list[str]:
        return [str(text) for request in self.requests for text in request.inputs]


def lines(document: Document) -> list[Chunk]:
    """A chunk for each line that is not blank."""
    return [
        Chunk(
            f"{document.id}#{position}", document.id, position, found.group(), Span(*found.span())
        )
        for position, found in enumerate(re.finditer(r"\S[^\n]*", document.text))
    ]


def by_lines() -> Chunking:
    return Chunking(lambda document: iter(lines(document)), "lines")


@dataclass
class FakeStore:
    """Keeps documents by collection and id. Filters are remembered, not applied."""

    collections: dict[str, tuple[EmbeddingModel, dict[str, NewDocument]]] = field(
        default_factory=dict
    )
    failures: dict[str, Exception] = field(default_factory=dict)
    seconds: float = 0.0
    calls: list[str] = field(default_factory=list)
    queries: list[SearchQuery] = field(default_factory=list)
    tuned: dict[str, TunedSearch] = field(default_factory=dict)

    def documents(self, collection: str = "default") -> dict[str, NewDocument]:
        if collection not in self.collections:
            raise CollectionNotFoundError(f"There is no collection {collection!r}.")
        return self.collections[collection][1]

    async def create_collection(self, name: str, embedding: EmbeddingModel) -> None:
        if self.collections.setdefault(name, (embedding, {}))[0] != embedding:
            raise EmbeddingMismatchError("Another embedding.")

    async def describe_collection(self, name: str, within: Filter = EVERYTHING) -> Collection:
        documents = self.documents(name)
        chunks = sum(len(one.chunks) for one in documents.values())
        return Collection(name, self.collections[name][0], len(documents), chunks)

    async def list_collections(self) -> tuple[Collection, ...]:
        return tuple([await self.describe_collection(name) for name in sorted(self.collections)])

    async def delete_collection(self, name: str) -> None:
        del self.collections[name]

    async def read_tuning(self, collection: str) -> TunedSearch | None:
        return self.tuned.get(collection)

    async def write_tuning(self, collection: str, tuned: TunedSearch | None) -> None:
        self.tuned.pop(collection, None)
        if tuned is not None:
            self.tuned[collection] = tuned

    async def rename_collection(self, name: str, new_name: str) -> None:
        self.collections[new_name] = self.collections.pop(name)

    async def replace_documents(
        self,
        collection: str,
        model: str,
        documents: Sequence[NewDocument],
        within: Filter = EVERYTHING,
    ) -> tuple[Written, ...]:
        self.calls.append("replace")
        if self.collections[collection][0].model != model:
            raise EmbeddingMismatchError("Another model.")
        for part, failure in self.failures.items():
            if any(part in one.document.text for one in documents):
                raise failure
        stored = self.documents(collection)
        written: list[Written] = []
        for one in documents:
            written.append("replaced" if one.document.id in stored else "created")
            stored[one.document.id] = one
            await asyncio.sleep(self.seconds / len(documents))
        return tuple(written)

    async def delete_documents(
        self, collection: str, ids: Sequence[str], within: Filter = EVERYTHING
    ) -> int:
        stored = self.documents(collection)
        return sum(stored.pop(id_, None) is not None for id_ in ids)

    async def delete_matching(self, collection: str, filter: Filter) -> int:
        raise NotImplementedError

    async def get_document(self, collection: str, document_id: str) -> DocumentRecord:
        stored = self.documents(collection)
        if document_id not in stored:
            raise DocumentNotFoundError(f"There is no document {document_id!r}.")
        one = stored[document_id]
        document = one.document
        size = len(document.text), len(one.chunks)
        return DocumentRecord(
            document.id, document.title, document.metadata, one.content_hash, *size, stored_at=0
        )

    async def get_documents(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, DocumentRecord]:
        there = self.documents(collection).keys() & ids
        return {id_: await self.get_document(collection, id_) for id_ in there}

    async def read_document(self, collection: str, document_id: str) -> Document:
        return self.documents(collection)[document_id].document

    async def list_documents(
        self,
        collection: str,
        filter: Filter,
        cursor: str | None,
        limit: int,
    ) -> DocumentPage:
        raise NotImplementedError

    async def update_metadata(
        self,
        collection: str,
        document_id: str,
        metadata: Metadata,
        title: str | None = None,
        within: Filter = EVERYTHING,
    ) -> DocumentRecord:
        self.calls.append("update_metadata")
        stored = self.documents(collection)
        one = stored[document_id]
        title = one.document.title if title is None else title
        document = replace(one.document, metadata=metadata, title=title)
        stored[document_id] = replace(one, document=document)
        return await self.get_document(collection, document_id)

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        """By the cosine, whatever the mode; in mode `sparse` with the text's own vector."""
        self.queries.append(query)
        asked = vector_of(query.text) if query.vector is None else query.vector.values
        hits = [
            Hit(
                chunk=chunk.chunk,
                title=one.document.title,
                metadata=one.document.metadata,
                score=float(asked @ chunk.vector),
                dense_score=None if query.vector is None else float(asked @ chunk.vector),
                sparse_score=None,
                vector=chunk.vector if query.with_vectors else None,
            )
            for one in self.documents(collection).values()
            for chunk in one.chunks
        ]
        threshold = query.score_threshold
        passing = [hit for hit in hits if threshold is None or hit.score >= threshold]
        return tuple(sorted(passing, key=lambda hit: -hit.score)[: query.top_k])


IN_MEMORY = VectorStoreOptions(Path(), is_in_memory=True)


def writing_by(backend: Backend) -> EvalWriting:
    """What evals have written, whoever asks."""
    return EvalWriting(
        lambda *_: partial(draft_question, backend),
        lambda *_: partial(place_chunk, backend),
        partial(open_vector_store, IN_MEMORY),
    )


@asynccontextmanager
async def open_retrieval(
    options: VectorStoreOptions = IN_MEMORY,
    embedder: FakeEmbedder | None = None,
    web: Web | None = None,
    backend: Backend | None = None,
    chunks: ChunkSettings | None = None,
) -> AsyncGenerator[Retrieval, None]:
    """Retrieval over a real store. With a backend, evals are run, which write by it."""
    embedder = embedder or FakeEmbedder()
    async with open_vector_store(options) as store, FileLoader() as loader:
        with TemporaryDirectory() as folder:
            async with aclosing(State(StateOptions(Path(folder)))) as state:
                retrieval = retrieval_over(store, embedder, loader, state)
                chunks = chunks or retrieval.chunks
                retrieval = replace(retrieval, web=web or Web(), chunks=chunks)
                async with AsyncExitStack() as jobs:
                    ingests = running_jobs(state, lambda _: retrieval)
                    await jobs.enter_async_context(ingests)
                    if (drafting := backend) is not None:
                        writing = writing_by(drafting)
                        evals = running_evals(state, lambda _: retrieval, writing)
                        await jobs.enter_async_context(evals)
                    yield retrieval


def retrieval_over(
    store: VectorStore, embedder: Embedder, loader: FileLoader, state: State
) -> Retrieval:
    retriever = Retriever(store, embedder, score_threshold=0.2)
    jobs = IngestJobs(state)
    return Retrieval(
        store,
        embedder,
        loader,
        jobs,
        retriever,
        ChunkSettings(),
        top_k=3,
        sources=SourceMemory(state),
        evals=EvalJobs(state),
    )
