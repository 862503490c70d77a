"""What retrieval asks of a store: the Protocol, and the values that cross it. No engine in it.

A collection holds documents, and their chunks under a dense vector and a BM25 vector each. It
remembers whose vectors it holds: those of another embedding model are refused.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from llm_api.core.rag.filters import EVERYTHING, Filter
from llm_api.core.rag.types import Chunk, Document, Metadata

Vector: TypeAlias = npt.NDArray[np.float32]
"""Shape (dimension,). Of any length on its way in; engines store it scaled to unit length, and give
it back so. Scores of mode `dense` are cosines, from -1 to 1."""

SearchMode: TypeAlias = Literal["dense", "sparse", "hybrid"]
Written: TypeAlias = Literal["created", "replaced", "unchanged"]

PAGE: Final = 1000
"""Records that `every_document` asks for at once."""

SHORT_PAGE: Final = 200
"""The same where others wait on the event loop: reading a page holds it for some milliseconds."""

FIRST_RULE: Final = 1
"""Words as Qdrant cuts them: by spaces and punctuation, in the form they are written in."""

NEWEST_RULE: Final = 2
"""Terms as `words` has them: of any normal form, and of scripts without spaces. Also known since
then: which fields of its metadata a document has."""


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """The model that made the vectors of a collection, and their length."""

    model: str
    dimension: int


@dataclass(frozen=True, slots=True)
class HybridWeights:
    """What each ranking counts in mode `hybrid`: at least 0, not both 0. Only the ratio matters."""

    embedding: float
    text: float

    @property
    def shares(self) -> tuple[float, float]:
        """Of the embedding and of the text; together 1."""
        total = self.embedding + self.text
        return self.embedding / total, self.text / total


USUAL_WEIGHTS: Final = HybridWeights(0.6, 0.4)
"""From 0.5 to 0.7 for the embedding all collections of docs/figures.md are found alike."""
NEIGHBOURS: Final = 6
"""How many of the chunks most like it say something of a chunk, in mode `hybrid`: see `fusion`."""


@dataclass(frozen=True, slots=True)
class TunedSearch:
    """How a collection is searched where a request does not say: as its evals found best.

    `score_threshold` None is that of the embedding model. The rest says what that stands on: nDCG
    of as many questions, each measured with what was chosen without it, and before.
    """

    mode: SearchMode
    weights: HybridWeights
    score_threshold: float | None
    top_k: int
    diversity: float
    neighbours: int
    questions: int
    ndcg: float
    ndcg_before: float
    tuned_at: float


@dataclass(frozen=True, slots=True)
class Collection:
    """`word_rule` is how its words are cut: that of documents and questions alike.

    One that cannot be read has a `damage`, which says why, and nobody knows how much is in it.
    """

    name: str
    embedding: EmbeddingModel
    documents: int | None
    chunks: int | None
    word_rule: int = NEWEST_RULE
    damage: str | None = None
    tuned: TunedSearch | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedChunk:
    """A chunk ready to be stored. `words` is the text that BM25 indexes."""

    chunk: Chunk
    vector: Vector
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class NewDocument:
    """A document with all its chunks.

    `content_hash` stands for everything that makes the chunks and vectors what they are: while it
    stays the same, there is nothing to store again. `lines` is how many of the chunks are embedded
    with a line that places them (`contexts`). With `replaces`, it is stored only where that is the
    content hash of what is there.
    """

    document: Document
    content_hash: str
    chunks: Sequence[EmbeddedChunk]
    lines: int = 0
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What is known of a stored document beside its text. `stored_at` is in Unix seconds.

    `lines` of its chunks are found by a line that places them as well (`contexts`).
    """

    id: str
    title: str
    metadata: Metadata
    content_hash: str
    characters: int
    chunks: int
    stored_at: float
    lines: int = 0


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Some documents. `next_cursor` is None on the last page."""

    documents: tuple[DocumentRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, eq=False)
class QueryVector:
    """A question's vector, and the model that made it."""

    model: str
    values: Vector


@dataclass(frozen=True, slots=True, eq=False)
class SearchQuery:
    """`sparse` needs `text`, `dense` needs `vector`, `hybrid` both, and is ranked by `weights`.

    `score_threshold` bounds the cosine similarity; in mode `sparse`, the BM25 score. `takes_all`
    gives in mode `hybrid` whatever stands high in either ranking, instead of `top_k`.
    """

    mode: SearchMode
    top_k: int
    text: str = ""
    vector: QueryVector | None = None
    filter: Filter = EVERYTHING
    score_threshold: float | None = None
    with_vectors: bool = False
    weights: HybridWeights = USUAL_WEIGHTS
    takes_all: bool = False
    neighbours: int = NEIGHBOURS


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """A chunk that was found, with the title and metadata of its document.

    `score` ranks the hits of one search, and its scale depends on how: the cosine, the BM25 score,
    what fusion makes of both, or the cross-encoder's. A score that was not computed is None.
    `vector` is there if it was asked for. `collection` is the one that a `Retriever` searched.
    """

    chunk: Chunk
    title: str
    metadata: Metadata
    score: float
    dense_score: float | None
    sparse_score: float | None
    vector: Vector | None = None
    rerank_score: float | None = None
    collection: str = ""


class VectorStore(Protocol):
    """A write that has answered is durable: it outlives this process and the machine's power.

    A document is found whole or not at all, also while it is written. For a call that has a
    filter `within`, documents that do not match it are not there. Every method raises
    CollectionNotFoundError for a collection that is not there, CollectionDamagedError for one that
    cannot be read (which can be described and deleted), VectorStoreUnavailableError when the
    engine does not answer; every method that writes, StorageFullError.
    """

    async def create_collection(self, name: str, embedding: EmbeddingModel) -> None:
        """Have this collection. Does nothing if it is there already.

        Raises EmbeddingMismatchError if it is there with another embedding, and
        InvalidRequestError for a name that is none.
        """

    async def describe_collection(self, name: str, within: Filter = EVERYTHING) -> Collection: ...

    async def list_collections(self) -> tuple[Collection, ...]:
        """All collections, by name."""

    async def delete_collection(self, name: str) -> None: ...

    async def read_tuning(self, collection: str) -> TunedSearch | None:
        """How it is to be searched where a request does not say; None: as any other."""

    async def write_tuning(self, collection: str, tuned: TunedSearch | None) -> None:
        """Keep that as long as the collection has these vectors; None forgets it."""

    async def rename_collection(self, name: str, new_name: str) -> None:
        """Give a collection another name, in one step that no search notices.

        Deletes the collection that had the new name before: so a rebuilt collection takes the old
        one's place.
        """

    async def replace_documents(
        self,
        collection: str,
        model: str,
        documents: Sequence[NewDocument],
        within: Filter = EVERYTHING,
    ) -> tuple[Written, ...]:
        """Store documents, each in one step; nothing of what it replaces is left.

        Says for each what happened: `unchanged` where the content hash is the stored one, or is
        not the one that the document `replaces`. Many at
        once cost little more than one. Raises EmbeddingMismatchError if vectors of `model` do not
        belong here, InvalidRequestError for metadata that cannot be kept, an id given twice, or one
        that a document has which is not `within`.
        """

    async def delete_documents(
        self, collection: str, ids: Sequence[str], within: Filter = EVERYTHING
    ) -> int:
        """Delete those that are there, and return how many that were."""

    async def delete_matching(self, collection: str, filter: Filter) -> int:
        """Delete the documents that match, and return how many that were."""

    async def get_document(self, collection: str, document_id: str) -> DocumentRecord:
        """Raises DocumentNotFoundError."""

    async def get_documents(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, DocumentRecord]:
        """Those of a few hundred that are there, by id."""

    async def read_document(self, collection: str, document_id: str) -> Document:
        """The document as it was stored, its text included. Raises DocumentNotFoundError."""

    async def list_documents(
        self,
        collection: str,
        filter: Filter,
        cursor: str | None,
        limit: int,
    ) -> DocumentPage:
        """Documents in an order of no meaning that stays; from the start without a cursor.

        Raises InvalidRequestError for a cursor that no page gave.
        """

    async def update_metadata(
        self,
        collection: str,
        document_id: str,
        metadata: Metadata,
        title: str | None = None,
        within: Filter = EVERYTHING,
    ) -> DocumentRecord:
        """Replace the metadata, and the title if one is given. Nothing is embedded again.

        Raises DocumentNotFoundError, and InvalidRequestError for metadata that cannot be kept.
        """

    async def search(self, collection: str, query: SearchQuery) -> tuple[Hit, ...]:
        """The best chunks, best first, at most `top_k`.

        Raises EmbeddingMismatchError if the query's vector does not belong here.
        """


async def every_document(
    store: VectorStore, collection: str, page_size: int = PAGE
) -> AsyncGenerator[DocumentRecord, None]:
    """All documents of a collection, page by page. Raises as `VectorStore.list_documents`."""
    cursor: str | None = None
    while True:
        page = await store.list_documents(collection, EVERYTHING, cursor, page_size)
        for record in page.documents:
            yield record
        if (cursor := page.next_cursor) is None:
            return
