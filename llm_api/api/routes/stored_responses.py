"""Responses that are stored: read, followed, cancelled, deleted."""

import asyncio
from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES, streamable
from llm_api.api.mapping.responses.stored import item_list, shown_response
from llm_api.api.models.responses.response import DeletedResponse, ItemList, ResponseObject
from llm_api.api.responding.following import follow, until_ended
from llm_api.core.errors import InvalidRequestError
from llm_api.core.state.records import Order, PageRequest

router = APIRouter(prefix="/v1", tags=["Responses"], responses=ERROR_RESPONSES)

CANCEL_SECONDS: Final = 5.0
"""How long a cancel waits for the process that makes the response, which may be another one."""

StoredId = Annotated[str, Path(max_length=256)]
_BY_ID: Final = "/responses/{response_id:response_id}"


class _ResponseIdConvertor(Convertor[str]):
    """What stands for an id in a path: anything but the names of other routes."""

    regex = "(?!input_tokens(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("response_id", _ResponseIdConvertor())
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=256, description="The id of the item before.")]


@router.get(
    _BY_ID,
    summary="Read a response, or take its stream up again",
    response_model=ResponseObject,
    responses=streamable("The response, or with `stream` its events after `starting_after`."),
)
async def get_response(
    request: Request,
    response_id: StoredId,
    services: Services,
    stream: Annotated[bool, Query()] = False,
    starting_after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """As it is now. A stream that was cut goes on here, on whichever worker."""
    store = (await services.state()).responses
    if stream:
        return await follow(
            request, store, response_id, -1 if starting_after is None else starting_after
        )
    if starting_after is not None:
        raise InvalidRequestError(
            "'starting_after' is only allowed when 'stream' is true.", param="starting_after"
        )
    return _json(shown_response(await store.get(response_id)))


@router.delete(_BY_ID, summary="Delete a response")
async def delete_response(response_id: StoredId, services: Services) -> DeletedResponse:
    """With its items and events. One that is being made ends."""
    await (await services.state()).responses.delete(response_id)
    return DeletedResponse(id=response_id, object="response", deleted=True)


@router.post(
    f"{_BY_ID}/cancel",
    summary="Cancel a response in the background",
    response_model=ResponseObject,
)
async def cancel_response(response_id: StoredId, services: Services) -> Response:
    """The response as it ended, whichever came first; what was written by then stays."""
    store = (await services.state()).responses
    response = await store.get(response_id)
    if not response.is_background:
        raise InvalidRequestError(
            f"The response '{response_id}' is not made in the background: it ends with its client.",
            param="response_id",
        )
    if not response.has_ended:
        await store.request_cancel(response_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await until_ended(store, response)
        response = await store.get(response_id)
    return _json(shown_response(response))


@router.get(
    f"{_BY_ID}/input_items",
    summary="List what a response answers",
    response_model=ItemList,
)
async def list_input_items(
    response_id: StoredId,
    services: Services,
    limit: Limit = 20,
    order: Order = "desc",
    after: After = None,
) -> Response:
    """The items of its own input, not those of the responses before it."""
    store = (await services.state()).responses
    return _json(item_list(await store.input_items(response_id, PageRequest(limit, order, after))))


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
