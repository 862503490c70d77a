"""Search, wire to domain and back. Pure."""

from collections.abc import Sequence
from typing import Final

from llm_api.api.models.rag.fields import (
    Hit,
    HybridSearch,
    Scores,
    SearchParameters,
    SearchWeights,
    Span,
    TunedSearch,
)
from llm_api.api.models.rag.search import (
    SearchAnswer,
)
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.filters import EVERYTHING, parse_filter
from llm_api.core.rag.retrieve import SearchOptions, Tunable
from llm_api.core.rag.types import Span as DomainSpan
from llm_api.core.rag.vector_store import NEIGHBOURS, HybridWeights, SearchMode
from llm_api.core.rag.vector_store import Hit as DomainHit
from llm_api.core.rag.vector_store import TunedSearch as DomainTunedSearch

LEAST_SCORE: Final = 0.0001
"""What is shown of a hit whose fused score is 0: it was found, and is the last in both rankings."""


def to_search_options(given: SearchParameters, default_top_k: int, path: str = "") -> SearchOptions:
    """`path` is where the parameters stand in the request. Raises InvalidRequestError."""
    return SearchOptions(
        given.collection,
        given.top_k or default_top_k,
        given.mode or "hybrid",
        EVERYTHING if given.filter is None else parse_filter(given.filter, f"{path}filter"),
        given.score_threshold,
        rerank=bool(given.rerank),
        diversity=given.diversity or 0.0,
        weights=to_weights(given.hybrid_search, given.mode, path),
        neighbours=NEIGHBOURS if given.neighbours is None else given.neighbours,
        unsaid=_unsaid(given),
    )


def _unsaid(given: SearchParameters) -> frozenset[Tunable]:
    """What the collection may choose. Weights and neighbours say that the mode is `hybrid`."""
    said: dict[Tunable, bool] = {
        "mode": any(one is not None for one in (given.mode, given.hybrid_search, given.neighbours)),
        "score_threshold": given.score_threshold is not None,
        "top_k": given.top_k is not None,
        "diversity": given.diversity is not None,
    }
    return frozenset(name for name, is_said in said.items() if not is_said)


def to_weights(
    given: HybridSearch | None, mode: SearchMode | None = None, path: str = ""
) -> HybridWeights | None:
    """`path` is where the weights' parent stands. Raises InvalidRequestError."""
    if given is None:
        return None
    if mode not in (None, "hybrid"):
        raise InvalidRequestError(
            f"Weights are for mode 'hybrid'; with {mode!r} leave them out.",
            param=f"{path}hybrid_search",
        )
    if given.embedding_weight + given.text_weight <= 0:
        raise InvalidRequestError(
            "One of the two weights is above 0.", param=f"{path}hybrid_search"
        )
    return HybridWeights(given.embedding_weight, given.text_weight)


def to_span(span: DomainSpan) -> Span:
    return Span(start=span.start, end=span.end)


def to_hit(hit: DomainHit) -> Hit:
    chunk = hit.chunk
    return Hit(
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        title=hit.title,
        text=chunk.text,
        span=to_span(chunk.span),
        headings=list(chunk.headings),
        page=chunk.page,
        metadata=dict(hit.metadata),
        score=hit.score or LEAST_SCORE,
        scores=Scores(dense=hit.dense_score, sparse=hit.sparse_score, rerank=hit.rerank_score),
    )


def to_search_answer(
    options: SearchOptions, hits: Sequence[DomainHit], also: Sequence[str] = ()
) -> SearchAnswer:
    """`also` is what was searched for beside the question."""
    answer = SearchAnswer(
        object="list",
        collection=options.collection,
        mode=options.mode,
        data=[to_hit(hit) for hit in hits],
    )
    if options.expansion is not None:
        answer.searched = list(also)
    return answer


def to_tuned_search(tuned: DomainTunedSearch) -> TunedSearch:
    return TunedSearch(
        mode=tuned.mode,
        hybrid_search=SearchWeights(
            embedding_weight=tuned.weights.embedding, text_weight=tuned.weights.text
        ),
        score_threshold=tuned.score_threshold,
        top_k=tuned.top_k,
        diversity=tuned.diversity,
        neighbours=tuned.neighbours,
    )
