"""Threads of stored responses: listed, found by their words, read whole, deleted."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.mapping.responses.threads import to_search, to_thread_list, whole_thread
from llm_api.api.models.responses.threads import DeletedThread, Thread, ThreadList
from llm_api.core.state.records import PageRequest

router = APIRouter(prefix="/v1", tags=["Responses"], responses=ERROR_RESPONSES)

FirstId = Annotated[str, Path(max_length=256, description="The id of its first response.")]


@router.get("/responses", summary="List what was asked")
async def list_threads(
    services: Services,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(max_length=256, description="The id of the thread before.")
    ] = None,
    query: Annotated[
        str | None, Query(min_length=1, max_length=256, description="Words that are said in it.")
    ] = None,
) -> ThreadList:
    """Stored responses by threads: each with those that go on from it. An extension."""
    threads = (await services.state()).threads
    search = None if query is None else to_search(query)
    return to_thread_list(await threads.list(PageRequest(limit, after=after), search))


@router.get("/responses/{response_id}/thread", summary="Read a thread", response_model=Thread)
async def get_thread(response_id: FirstId, services: Services) -> Response:
    """The response and all that go on from it, each with what it answers. An extension."""
    turns = await (await services.state()).threads.turns(response_id)
    return Response(whole_thread(response_id, turns), media_type="application/json")


@router.delete("/responses/{response_id}/thread", summary="Delete a thread")
async def delete_thread(response_id: FirstId, services: Services) -> DeletedThread:
    """The response and all that go on from it. What is being made of it ends. An extension."""
    responses = await (await services.state()).threads.delete(response_id)
    return DeletedThread(
        id=response_id, object="response.thread.deleted", deleted=True, responses=responses
    )
