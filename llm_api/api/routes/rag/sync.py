"""What a source has, compared with what is stored of it: `POST /v1/rag/sync`."""

import asyncio

from fastapi import APIRouter, Request

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.rag.sync import to_deletion, to_listing, to_sync_answer
from llm_api.api.models.rag.sync import SyncAnswer, SyncRequest
from llm_api.core.rag.sync import sync

router = APIRouter(
    prefix="/v1/rag", tags=["Documents"], route_class=JSONBodyRoute, responses=ERROR_RESPONSES
)


@router.post("/sync", summary="Compare a folder with what is stored of it")
async def sync_source(request: Request, body: SyncRequest, services: Services) -> SyncAnswer:
    """What is new, changed, under way, unreadable or gone, by paths and hashes.

    A complete list deletes what it lacks, but never more than a share of it that is named.
    """
    listing = await asyncio.to_thread(to_listing, body)
    comparing = sync(
        services.retrieval(),
        services.owner,
        listing,
        to_deletion(body),
        retries_failed=body.retry_failed,
    )
    found = await until_disconnect(request, comparing)
    return await asyncio.to_thread(to_sync_answer, listing, found)
