"""What is in a collection: `GET /v1/rag/collections/{name}/report`."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.rag.report import to_report
from llm_api.api.models.rag.report import CollectionReport
from llm_api.core.rag.collection_report import DEFAULT_STALE_DAYS, ReportOptions, report_on

router = APIRouter(prefix="/v1/rag", tags=["Documents"], responses=ERROR_RESPONSES)


@router.get("/collections/{name}/report", summary="See what is in a collection")
async def report_collection(
    request: Request,
    name: Annotated[str, Path(max_length=64, examples=["default"])],
    services: Services,
    stale_days: Annotated[
        float,
        Query(ge=0, le=36_500, description="After which a page counts as fetched long ago."),
    ] = DEFAULT_STALE_DAYS,
    limit: Annotated[
        int, Query(ge=0, le=1_000, description="Documents that are named of each list.")
    ] = 100,
) -> CollectionReport:
    """By source and by kind; what failed and why; what is older than its source."""
    options = ReportOptions(stale_days, limit)
    reporting = report_on(services.retrieval(), services.owner, name, options)
    return to_report(await until_disconnect(request, reporting))
