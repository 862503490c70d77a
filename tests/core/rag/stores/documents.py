"""Small documents with made-up vectors, for tests of the stores."""

import numpy as np

from llm_api.core.rag.filters import EVERYTHING, parse_filter
from llm_api.core.rag.matching import matches
from llm_api.core.rag.types import Chunk, Document, Metadata, Span, TextSection
from llm_api.core.rag.vector_store import (
    USUAL_WEIGHTS,
    EmbeddedChunk,
    EmbeddingModel,
    Hit,
    HybridWeights,
    NewDocument,
    QueryVector,
    SearchMode,
    SearchQuery,
    Vector,
    VectorStore,
)

MODEL = EmbeddingModel("tiny", 4)


def vector(*values: float) -> Vector:
    return np.array(values, np.float32)


EAST, NORTH, UP = vector(1, 0, 0, 0), vector(0, 1, 0, 0), vector(0, 0, 1, 0)


def new_document(
    id_: str,
    *texts: str,
    metadata: Metadata | None = None,
    vectors: tuple[Vector, ...] = (),
    content_hash: str | None = None,
) -> NewDocument:
    """A document of these texts, a chunk each. All vectors are EAST if none are given."""
    text = " ".join(texts)
    chunks, start = [], 0
    for position, part in enumerate(texts):
        span = Span(start, start + len(part))
        chunk = Chunk(f"{id_}-{position}", id_, position, part, span, ("Top", id_), 1)
        chunks.append(EmbeddedChunk(chunk, vectors[position] if vectors else EAST, part))
        start = span.end + 1
    document = Document(
        id_, text, f"Title of {id_}", metadata or {}, (TextSection(0, ("Top",), 1),)
    )
    return NewDocument(document, content_hash or f"hash of {text}", chunks)


async def put(store: VectorStore, name: str, *documents: NewDocument) -> tuple[str, ...]:
    """Store documents in a collection, which is made if need be."""
    await store.create_collection(name, MODEL)
    return await store.replace_documents(name, MODEL.model, documents)


async def find(
    store: VectorStore,
    name: str,
    text: str = "",
    near: Vector = EAST,
    *,
    mode: SearchMode = "dense",
    top_k: int = 10,
    where: object = None,
    threshold: float | None = None,
    weights: HybridWeights = USUAL_WEIGHTS,
) -> tuple[Hit, ...]:
    """What a search finds. `where` is a filter in JSON."""
    wanted = parse_filter(where or {})
    vector = QueryVector(MODEL.model, near)
    query = SearchQuery(mode, top_k, text, vector, wanted, threshold, weights=weights)
    return await store.search(name, query)


async def found_ids(store: VectorStore, name: str, where: object) -> set[str]:
    """The ids of documents that match a filter: by search, by listing and by `matches` alike."""
    hits = {hit.chunk.document_id for hit in await find(store, name, where=where, top_k=100)}
    page = await store.list_documents(name, parse_filter(where), None, 100)
    assert {document.id for document in page.documents} == hits
    every = await store.list_documents(name, EVERYTHING, None, 1000)
    wanted = parse_filter(where)
    assert {one.id for one in every.documents if matches(wanted, one.metadata)} == hits
    return hits
