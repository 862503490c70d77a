"""Large ingests under way: `/v1/rag/jobs`."""

from typing import Annotated

from fastapi import APIRouter, Path

from llm_api.api.deps import DocumentService
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.rag.documents import to_job
from llm_api.api.models.rag.documents import Job, JobList

router = APIRouter(prefix="/v1/rag/jobs", tags=["Documents"], responses=ERROR_RESPONSES)

JobId = Annotated[str, Path(max_length=128)]


@router.get("", summary="List large ingests")
async def list_jobs(retrieval: DocumentService) -> JobList:
    """The jobs of this process: those that run, and the last that have ended."""
    return JobList(object="list", data=[to_job(job) for job in retrieval.jobs.all()])


@router.get("/{job_id}", summary="See how far a large ingest is")
async def retrieve_job(job_id: JobId, retrieval: DocumentService) -> Job:
    """Its state, and what failed so far, by document."""
    return to_job(retrieval.jobs.get(job_id))


@router.post("/{job_id}/cancel", summary="Cancel a large ingest")
async def cancel_job(job_id: JobId, retrieval: DocumentService) -> Job:
    """What was stored until now stays. A job that has ended stays as it is."""
    retrieval.jobs.get(job_id)
    await retrieval.jobs.cancel(job_id)
    return to_job(retrieval.jobs.get(job_id))
