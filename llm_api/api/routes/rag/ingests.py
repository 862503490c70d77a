"""Ingests: answered at once where small, as a job where large; and the jobs, `/v1/rag/jobs`.

Size alone decides. An ingest that is answered at once ends when its client disconnects, as a
generation does; a job goes on, whatever process ends, and can be cancelled. A key sees its own.
"""

from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.rag.documents import to_ingest_answer, to_job
from llm_api.api.models.rag.documents import IngestAnswer, Job, JobList
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.jobs import Source
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.state.records import JobInput

SMALL_DOCUMENTS = 100
SMALL_SIZE = 100_000
"""Characters of texts, bytes of files: what is embedded in about a second. More is a job."""

INGEST_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": IngestAnswer, "description": "Everything is stored, or has failed."},
    202: {"model": Job, "description": "It is large: ask for the job at its Location."},
    **ERROR_RESPONSES,
}

router = APIRouter(prefix="/v1/rag/jobs", tags=["Documents"], responses=ERROR_RESPONSES)

JobId = Annotated[str, Path(max_length=128)]


@dataclass(frozen=True, slots=True)
class Intake:
    """An ingest that was asked for. `ids` are those of its documents, in their order.

    `work` carries it out at once, `inputs` are what a job needs to do the same.
    """

    collection: str
    ids: Sequence[str]
    work: Callable[[Report], Coroutine[Any, Any, None]]
    source: Source
    inputs: Callable[[], AsyncIterable[JobInput]]
    is_large: bool


def is_large(documents: int, size: int) -> bool:
    """Whether so many documents, of this size together, are a job."""
    return documents > SMALL_DOCUMENTS or size > SMALL_SIZE


async def ingest(request: Request, owner: str, retrieval: Retrieval, intake: Intake) -> Response:
    """The HTTP answer; a job is the owner's.

    Raises InvalidRequestError where nothing at all could be stored, PermissionDeniedError where the
    key may not, ClientLeftError where nobody waits for it any more; what was stored until then
    stays.
    """
    retrieval.rights.require_write(intake.collection)
    if intake.is_large:
        created = await retrieval.jobs.create(
            owner, intake.collection, intake.source, intake.inputs()
        )
        job = to_job(created)
        location = {"location": f"/v1/rag/jobs/{job.id}"}
        return Response(job.to_json(), HTTPStatus.ACCEPTED, location, "application/json")
    outcomes: list[DocumentOutcome] = []
    await until_disconnect(request, intake.work(outcomes.append))
    if outcomes and all(one.what == "failed" for one in outcomes):
        raise InvalidRequestError(_why_none(outcomes))
    place = {document_id: number for number, document_id in enumerate(intake.ids)}
    outcomes.sort(key=lambda one: place.get(one.document_id, len(place)))  # a redirect has none
    answer = to_ingest_answer(intake.collection, outcomes)
    return Response(answer.to_json(), media_type="application/json")


def _why_none(outcomes: Sequence[DocumentOutcome]) -> str:
    first = f"{outcomes[0].document_id}: {outcomes[0].reason}"
    others = len(outcomes) - 1
    return f"{first} None of the {others} others could be stored either." if others else first


@router.get("", summary="List large ingests")
async def list_jobs(services: Services) -> JobList:
    """The jobs of this key: those that run, and the last that have ended."""
    jobs = await services.retrieval().jobs.all(services.owner)
    return JobList(object="list", data=[to_job(job) for job in jobs])


@router.get("/{job_id}", summary="See how far a large ingest is")
async def retrieve_job(job_id: JobId, services: Services) -> Job:
    """Its state, and what failed so far, by document."""
    return to_job(await services.retrieval().jobs.get(services.owner, job_id))


@router.post("/{job_id}/cancel", summary="Cancel a large ingest")
async def cancel_job(job_id: JobId, services: Services) -> Job:
    """Documents stored until now stay. A job that has ended stays as it is."""
    return to_job(await services.retrieval().jobs.cancel(services.owner, job_id))
