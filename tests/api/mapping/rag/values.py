"""Values of retrieval, for tables about the wire."""

from llm_api.core.rag.types import Chunk, Metadata, Span
from llm_api.core.rag.vector_store import Hit

CATS = Chunk("c-1", "cats", 0, "cats sleep long", Span(3, 18), ("Animals", "Cats"), page=2)
DOGS = Chunk("d-1", "my dogs/1", 0, "dogs bark", Span(0, 9))

WIRE_CATS = {
    "chunk_id": "c-1",
    "document_id": "cats",
    "title": "Pets",
    "text": "cats sleep long",
    "span": {"start": 3, "end": 18},
    "headings": ["Animals", "Cats"],
    "page": 2,
    "metadata": {"year": 2024},
    "score": 0.5,
    "scores": {"dense": 0.5, "sparse": None, "rerank": None},
}


def cats(metadata: Metadata | None = None) -> Hit:
    metadata = metadata or {"year": 2024}
    return Hit(CATS, "Pets", metadata, 0.5, 0.5, None, collection="my pets")


def dogs() -> Hit:
    return Hit(DOGS, "", {}, 1.5, None, 1.25, rerank_score=1.5, collection="c")
