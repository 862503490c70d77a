"""`/v1/cache`: the computed prefixes that are kept. All of it takes scope `admin`."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.cache import to_cleared, to_prefix_list
from llm_api.api.models.cache import CachedPrefixList, ClearedCache

MAX_LISTED: Final = 1000

router = APIRouter(prefix="/v1/cache", tags=["Models"], responses=ERROR_RESPONSES)


@router.get("", summary="List the computed prefixes that are kept")
async def list_prefixes(request: Request, services: Services) -> CachedPrefixList:
    """Whose they are, how long, how large, and where: in memory, on disk. Not what they say."""
    kept = await services.kept_prefixes().look(MAX_LISTED)
    return to_prefix_list(kept, request.app.state.worker)


@router.delete("", summary="Delete the computed prefixes that are kept")
async def clear_prefixes(
    services: Services,
    key: Annotated[
        str | None, Query(max_length=256, description="Only those of the key of this name.")
    ] = None,
) -> ClearedCache:
    """In memory, on disk and in idle slots; those that the settings pin stay.

    Requests that run are not touched. With several workers, those of the one that answers.
    """
    return to_cleared(await services.kept_prefixes().forget(key))
