"""Search: `POST /v1/rag/search`, and how well it does: `POST /v1/rag/evals`."""

from fastapi import APIRouter, Request

from llm_api.api.deps import DocumentService
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.rag.search import (
    to_eval_answer,
    to_questions,
    to_search_answer,
    to_search_options,
)
from llm_api.api.models.rag.search import EvalAnswer, EvalRequest, SearchAnswer, SearchRequest
from llm_api.core.rag.evaluation import compare_modes

router = APIRouter(
    prefix="/v1/rag", tags=["Documents"], route_class=JSONBodyRoute, responses=ERROR_RESPONSES
)


@router.post("/search", summary="Find the chunks that may answer a question")
async def search(request: Request, body: SearchRequest, retrieval: DocumentService) -> SearchAnswer:
    """The best chunks, best first, each with its scores and its place in the document."""
    options = to_search_options(body, retrieval.top_k)
    found = await until_disconnect(request, retrieval.retriever.search(body.query, options))
    return to_search_answer(options, found)


@router.post("/evals", summary="Measure which way to search is best")
async def evaluate_search(
    request: Request, body: EvalRequest, retrieval: DocumentService
) -> EvalAnswer:
    """Ask questions whose answers are known in every mode: recall, MRR and nDCG of each."""
    questions, judgements = to_questions(body)
    comparison = compare_modes(
        retrieval.retriever, body.collection, questions, judgements, body.cutoff
    )
    return to_eval_answer(body, await until_disconnect(request, comparison))
