"""Prepared documents with the vectors of their chunks. Knows no store."""

from collections.abc import Sequence
from dataclasses import replace

from llm_api.core.embeddings.embedder import Embedder, EmbeddingRequest
from llm_api.core.errors import ContextLengthExceededError
from llm_api.core.rag.prepare import Prepared
from llm_api.core.rag.reports import FAULTS_OF_ONE, Report, failed
from llm_api.core.rag.vector_store import EmbeddedChunk, EmbeddingModel, NewDocument, Vector

EMBEDDED_AT_ONCE = 512
"""Chunks in one request. The more, the more alike are the lengths in a batch of the embedder."""


async def embedding_of(embedder: Embedder) -> EmbeddingModel:
    """What a collection of this embedder's vectors remembers. Opens the model if need be."""
    dimension = embedder.card.dimension
    if dimension is None:
        probe = await embedder.embed(EmbeddingRequest(["dimension"], input_type="document"))
        dimension = probe.vectors.shape[1]
    return EmbeddingModel(embedder.card.id, dimension)


async def embed_documents(
    embedder: Embedder, documents: Sequence[Prepared], report: Report
) -> list[NewDocument]:
    """Those that could be embedded; the others are reported.

    All at once; where that fails, one by one, to find out which document it is about.
    """
    try:
        passages = [text for one in documents for text in one.passages]
        vectors = iter(await _vectors(embedder, passages))
    except FAULTS_OF_ONE as error:
        if len(documents) > 1:
            alone = [await embed_documents(embedder, [one], report) for one in documents]
            return [new for news in alone for new in news]
        if (bare := _without_headers(documents[0])) and _is_too_long(error):
            return await embed_documents(embedder, [bare], report)
        report(failed(documents[0].document.id, error))
        return []
    return [_assembled(one, [next(vectors) for _ in one.chunks]) for one in documents]


async def _vectors(embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
    vectors: list[Vector] = []
    for start in range(0, len(texts), EMBEDDED_AT_ONCE):
        inputs = texts[start : start + EMBEDDED_AT_ONCE]
        answer = await embedder.embed(EmbeddingRequest(inputs, input_type="document"))
        vectors.extend(answer.vectors)
    return vectors


def _is_too_long(error: Exception) -> bool:
    return isinstance(error, ContextLengthExceededError)


def _without_headers(one: Prepared) -> Prepared | None:
    """A chunk may fit into the model where its headings do not. None if there are none."""
    bare = [chunk.text for chunk in one.chunks]
    return None if bare == one.passages else replace(one, passages=bare)


def _assembled(one: Prepared, vectors: Sequence[Vector]) -> NewDocument:
    parts = zip(one.chunks, vectors, one.passages, strict=True)
    return NewDocument(one.document, one.content_hash, [EmbeddedChunk(*part) for part in parts])
