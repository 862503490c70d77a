"""How well a collection is searched, and how best: `/v1/rag/evals`.

Questions that are given are answered at once. Where a model is to write something, it is a job.
"""

import time
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.rag.evals import to_eval_answer, to_eval_job, to_plan, to_questions
from llm_api.api.models.rag.evals import EvalAnswer, EvalJob, EvalRequest
from llm_api.core.rag.evals import apply, evaluate_search

router = APIRouter(prefix="/v1/rag", tags=["Documents"], responses=ERROR_RESPONSES)
bodies = APIRouter(route_class=JSONBodyRoute)

EvalId = Annotated[str, Path(max_length=128)]

_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": EvalJob, "description": "A model writes first: ask for it at its Location."},
    **ERROR_RESPONSES,
}


@bodies.post(
    "/evals",
    summary="Measure which way to search is best, and keep it",
    response_model=EvalAnswer,
    responses=_RESPONSES,
)
async def evaluate(request: Request, body: EvalRequest, services: Services) -> Response:
    """Ask questions whose answers are known: what each mode reaches, and the best way to search.

    With `draft`, a model writes the questions from the documents; with `contexts`, lines that
    place its chunks: 202, and where to ask for it.
    """
    retrieval = services.retrieval()
    if body.draft is not None or body.contexts:
        services.caller.require("generate")
        plan = to_plan(body, services.models.card(body.model).id)
        if plan.contexts and plan.applies:
            retrieval.rights.require_choice(plan.collection)
        created = await retrieval.evals.create(services.owner, retrieval.store, plan)
        job = to_eval_job(created)
        location = {"location": f"/v1/rag/evals/{job.id}"}
        return Response(job.to_json(), HTTPStatus.ACCEPTED, location, "application/json")
    questions, judgements = to_questions(body)
    measuring = evaluate_search(
        retrieval.retriever, body.collection, questions, judgements, body.cutoff
    )
    evals = await until_disconnect(request, measuring)
    is_applied = body.apply and await apply(retrieval.store, body.collection, evals, time.time())
    answer = to_eval_answer(body.collection, body.cutoff, evals, is_applied=is_applied)
    return Response(answer.to_json(), media_type="application/json")


@router.get("/evals/{eval_id}", summary="See how far evals are for which a model writes")
async def retrieve_eval(eval_id: EvalId, services: Services) -> EvalJob:
    """The questions drafted so far; in the end, what they say."""
    return to_eval_job(await services.retrieval().evals.get(services.owner, eval_id))


@router.post("/evals/{eval_id}/cancel", summary="Cancel evals for which a model writes")
async def cancel_eval(eval_id: EvalId, services: Services) -> EvalJob:
    """The questions drafted until now can be seen for a week. What has ended stays as it is."""
    return to_eval_job(await services.retrieval().evals.cancel(services.owner, eval_id))


router.include_router(bodies)
