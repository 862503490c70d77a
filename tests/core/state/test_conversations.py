import pytest

from llm_api.core.errors import ConversationNotFoundError, InvalidRequestError, ItemNotFoundError
from llm_api.core.state.opened import OwnedState
from llm_api.core.state.records import PageRequest, StoredConversation
from tests.core.state.samples import ids, item, items, outcome, response

NEW = StoredConversation("conv_1", 1_000.0, '{"topic": "x"}')


async def test_conversation_is_read_as_it_was_created_or_updated(own: OwnedState) -> None:
    await own.conversations.create(NEW)
    assert await own.conversations.get("conv_1") == NEW
    changed = await own.conversations.update("conv_1", "{}")
    assert changed.metadata == "{}"
    assert await own.conversations.get("conv_1") == changed


async def test_deleted_conversation_is_gone_and_its_responses_stay(own: OwnedState) -> None:
    await own.conversations.create(NEW, items("a"))
    await own.responses.save(response("resp_1", "b", conversation="conv_1"), outcome("c"))
    await own.conversations.delete("conv_1")
    with pytest.raises(ConversationNotFoundError):
        await own.conversations.get("conv_1")
    assert (await own.responses.get("resp_1")).status == "completed"
    with pytest.raises(ConversationNotFoundError):
        await own.responses.history("resp_1")


async def test_items_come_in_pages_in_both_orders(own: OwnedState) -> None:
    await own.conversations.create(NEW, items("a", "b"))
    await own.conversations.add_items("conv_1", items("c", "d"))
    page = await own.conversations.items("conv_1", PageRequest(3))
    assert (ids(page.entries), page.has_more) == (["d", "c", "b"], True)
    page = await own.conversations.items("conv_1", PageRequest(3, "asc", "b"))
    assert (ids(page.entries), page.has_more) == (["c", "d"], False)
    with pytest.raises(InvalidRequestError):
        await own.conversations.items("conv_1", PageRequest(after="nobody"))


async def test_item_that_is_there_is_not_added_again(own: OwnedState) -> None:
    await own.conversations.create(NEW, items("a", "b"))
    await own.conversations.add_items("conv_1", items("b", "c", "a", "d"))
    assert ids(await own.conversations.all_items("conv_1")) == ["a", "b", "c", "d"]


async def test_item_is_read_and_deleted_alone(own: OwnedState) -> None:
    await own.conversations.create(NEW, items("a", "b"))
    assert await own.conversations.get_item("conv_1", "a") == item("a")
    assert await own.conversations.delete_item("conv_1", "a") == NEW
    assert ids(await own.conversations.all_items("conv_1")) == ["b"]
    with pytest.raises(ItemNotFoundError):
        await own.conversations.get_item("conv_1", "a")
    with pytest.raises(ItemNotFoundError):
        await own.conversations.delete_item("conv_1", "a")
