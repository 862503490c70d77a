"""Conversations: `/v1/conversations`, which responses read, and add to when they end."""

import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.generation import refuse
from llm_api.api.mapping.responses.stored import item_list, to_stored_items
from llm_api.api.models.responses.conversations import (
    AddItems,
    ConversationObject,
    CreateConversation,
    DeletedConversation,
    UpdateConversation,
)
from llm_api.api.models.responses.items import InputItem, ItemReference, UnknownItem
from llm_api.api.models.responses.response import ItemList
from llm_api.api.responding.preparation import new_id
from llm_api.core.state.records import Order, Page, PageRequest, StoredConversation, StoredItem

router = APIRouter(prefix="/v1", tags=["Conversations"], responses=ERROR_RESPONSES)
writing = APIRouter(route_class=JSONBodyRoute)

ConversationId = Annotated[str, Path(max_length=256)]
ItemId = Annotated[str, Path(max_length=256)]


@writing.post("/conversations", summary="Begin a conversation")
async def create_conversation(body: CreateConversation, services: Services) -> ConversationObject:
    """Empty, or with up to 20 items."""
    store = (await services.state()).conversations
    new = StoredConversation(new_id("conv"), time.time(), json.dumps(body.metadata or {}))
    await store.create(new, _to_stored(body.items or []))
    return _wire(new)


@router.get("/conversations/{conversation_id}", summary="Read a conversation")
async def get_conversation(
    conversation_id: ConversationId, services: Services
) -> ConversationObject:
    """Without its items."""
    return _wire(await (await services.state()).conversations.get(conversation_id))


@writing.post("/conversations/{conversation_id}", summary="Change a conversation's metadata")
async def update_conversation(
    conversation_id: ConversationId, body: UpdateConversation, services: Services
) -> ConversationObject:
    store = (await services.state()).conversations
    return _wire(await store.update(conversation_id, json.dumps(body.metadata or {})))


@router.delete("/conversations/{conversation_id}", summary="Delete a conversation")
async def delete_conversation(
    conversation_id: ConversationId, services: Services
) -> DeletedConversation:
    """With its items; the responses that belonged to it stay."""
    await (await services.state()).conversations.delete(conversation_id)
    return DeletedConversation(id=conversation_id, object="conversation.deleted", deleted=True)


@writing.post(
    "/conversations/{conversation_id}/items", summary="Add items", response_model=ItemList
)
async def create_items(
    conversation_id: ConversationId, body: AddItems, services: Services
) -> Response:
    """Up to 20 at once, at the end. One whose id is there already stays as it is."""
    items = _to_stored(body.items)
    await (await services.state()).conversations.add_items(conversation_id, items)
    return _json(item_list(Page(items, has_more=False)))


@router.get("/conversations/{conversation_id}/items", summary="List items", response_model=ItemList)
async def list_items(
    conversation_id: ConversationId,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Order = "desc",
    after: Annotated[
        str | None, Query(max_length=256, description="The id of the item before.")
    ] = None,
) -> Response:
    """By default the newest first."""
    store = (await services.state()).conversations
    return _json(item_list(await store.items(conversation_id, PageRequest(limit, order, after))))


@router.get(
    "/conversations/{conversation_id}/items/{item_id}",
    summary="Read an item",
    response_model=dict[str, Any],
)
async def get_item(
    conversation_id: ConversationId, item_id: ItemId, services: Services
) -> Response:
    """As it was added, or as a response has made it."""
    store = (await services.state()).conversations
    return _json((await store.get_item(conversation_id, item_id)).body)


@router.delete("/conversations/{conversation_id}/items/{item_id}", summary="Delete an item")
async def delete_item(
    conversation_id: ConversationId, item_id: ItemId, services: Services
) -> ConversationObject:
    """The conversation it was in."""
    return _wire(await (await services.state()).conversations.delete_item(conversation_id, item_id))


def _to_stored(items: Sequence[InputItem]) -> list[StoredItem]:
    """Raises UnsupportedParameterError for an item that no response could read."""
    for index, item in enumerate(items):
        if isinstance(item, UnknownItem | ItemReference):
            refuse(f"items[{index}].type", "is none that can be added to a conversation.")
    return to_stored_items(items, new_id)


def _wire(stored: StoredConversation) -> ConversationObject:
    return ConversationObject(
        id=stored.id,
        object="conversation",
        created_at=int(stored.created_at),
        metadata=json.loads(stored.metadata),
    )


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")


router.include_router(writing)
