"""Search and evals, wire to domain and back. Pure."""

from collections.abc import Sequence
from typing import Final

from llm_api.api.models.rag.fields import Hit, Scores, SearchParameters, Span
from llm_api.api.models.rag.search import EvalAnswer, EvalRequest, Quality, SearchAnswer
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.evaluation import ModeComparison
from llm_api.core.rag.filters import EVERYTHING, parse_filter
from llm_api.core.rag.retrieve import SearchOptions
from llm_api.core.rag.types import Span as DomainSpan
from llm_api.core.rag.vector_store import Hit as DomainHit

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
    )


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


def to_search_answer(options: SearchOptions, hits: Sequence[DomainHit]) -> SearchAnswer:
    return SearchAnswer(
        object="list",
        collection=options.collection,
        mode=options.mode,
        data=[to_hit(hit) for hit in hits],
    )


def to_questions(request: EvalRequest) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Questions, and the grades of documents, by the number of the question.

    Raises InvalidRequestError where no question has a relevant document.
    """
    questions, judgements = {}, {}
    for number, asked in enumerate(request.questions):
        relevant = asked.relevant
        grades = relevant if isinstance(relevant, dict) else dict.fromkeys(relevant, 1)
        questions[str(number)] = asked.query
        judgements[str(number)] = grades
    if not any(grade > 0 for grades in judgements.values() for grade in grades.values()):
        raise InvalidRequestError("No question has a relevant document.", param="questions")
    return questions, judgements


def to_eval_answer(request: EvalRequest, comparison: ModeComparison) -> EvalAnswer:
    qualities = comparison.qualities
    return EvalAnswer(
        object="rag.eval",
        collection=request.collection,
        cutoff=request.cutoff,
        questions=qualities[comparison.best].questions,
        modes={
            mode: Quality(recall=one.recall, mrr=one.mrr, ndcg=one.ndcg)
            for mode, one in qualities.items()
        },
        best=comparison.best,
    )
