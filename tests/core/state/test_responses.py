import asyncio

import pytest

from llm_api.core.errors import (
    ConversationNotFoundError,
    InvalidRequestError,
    ResponseNotFoundError,
)
from llm_api.core.state.opened import OwnedState
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import PageRequest, StoredConversation
from llm_api.core.state.state import State
from tests.core.state.samples import events, ids, items, outcome, response


async def followed(own: OwnedState, id: str, after: int = -1) -> list[int]:
    """The numbers of all events that following gives."""
    numbers = []
    async for batch in own.responses.follow(id, after):
        numbers += [one.sequence_number for one in batch]
    return numbers


async def test_saved_response_is_read_as_it_ended(own: OwnedState) -> None:
    await own.responses.save(response("resp_1", "in"), outcome("out"))
    stored = await own.responses.get("resp_1")
    assert (stored.status, stored.body, stored.has_ended) == ("completed", '{"last": true}', True)
    assert ids(await own.responses.history("resp_1")) == ["in", "out"]


async def test_items_are_found_by_their_ids_and_by_their_owner_alone(
    own: OwnedState, state: State
) -> None:
    await own.responses.save(response("resp_1", "in"), outcome("out"))
    found = await own.responses.find_items(["out", "in", "none"])
    assert sorted(found) == ["in", "out"]
    assert found["out"].body == '{"id": "out"}'
    assert await (await state.of("bob")).responses.find_items(["out"]) == {}


async def test_response_is_in_progress_until_it_is_finished(own: OwnedState) -> None:
    await own.responses.begin(response("resp_1", "in"))
    begun = await own.responses.get("resp_1")
    assert (begun.status, begun.body, begun.ended_at) == ("in_progress", '{"first": true}', None)
    assert await own.responses.count_unfinished() == 1
    assert await own.responses.finish("resp_1", outcome("out"))
    assert (await own.responses.get("resp_1")).status == "completed"
    assert await own.responses.count_unfinished() == 0


async def test_what_has_ended_does_not_end_again(own: OwnedState) -> None:
    await own.responses.save(response("resp_1"), outcome("out"))
    assert not await own.responses.finish("resp_1", outcome("other"))
    assert not await own.responses.start("resp_1", "{}")
    assert not await own.responses.append_events("resp_1", events(1))
    assert ids(await own.responses.history("resp_1")) == ["out"]


async def test_deleted_response_is_gone_with_its_items(own: OwnedState) -> None:
    await own.responses.begin(response("resp_1", "in"))
    await own.responses.append_events("resp_1", events(0))
    await own.responses.delete("resp_1")
    with pytest.raises(ResponseNotFoundError):
        await own.responses.get("resp_1")
    assert not await own.responses.finish("resp_1", outcome())
    await own.responses.begin(response("resp_1"))  # nothing of the first one hangs on it
    assert ids(await own.responses.history("resp_1")) == []


async def test_history_is_that_of_all_before_oldest_first(own: OwnedState) -> None:
    await own.responses.save(response("resp_1", "a"), outcome("b"))
    await own.responses.save(response("resp_2", "c", "d", previous="resp_1"), outcome("e"))
    await own.responses.save(response("resp_3", "f", previous="resp_2"), outcome("g"))
    await own.responses.save(response("branch", "x", previous="resp_1"), outcome("y"))
    assert ids(await own.responses.history("resp_3")) == ["a", "b", "c", "d", "e", "f", "g"]
    assert ids(await own.responses.history("branch")) == ["a", "b", "x", "y"]


async def test_history_without_its_beginning_is_refused(own: OwnedState) -> None:
    await own.responses.save(response("resp_1", "a"), outcome("b"))
    await own.responses.save(response("resp_2", previous="resp_1"), outcome("c"))
    await own.responses.delete("resp_1")
    with pytest.raises(ResponseNotFoundError, match="resp_1"):
        await own.responses.history("resp_2")


async def test_response_of_a_conversation_adds_its_items_to_it(own: OwnedState) -> None:
    await own.conversations.create(StoredConversation("conv_1", 0.0, "{}"), items("first"))
    await own.responses.begin(response("resp_1", "in", conversation="conv_1"))
    assert ids(await own.conversations.all_items("conv_1")) == ["first"]
    await own.responses.finish("resp_1", outcome("out"))
    await own.responses.save(response("resp_2", "in2", conversation="conv_1"), outcome("out2"))
    everything = ["first", "in", "out", "in2", "out2"]
    assert ids(await own.conversations.all_items("conv_1")) == everything


async def test_branch_from_a_response_of_a_conversation_begins_with_what_stood_there(
    own: OwnedState,
) -> None:
    await own.conversations.create(StoredConversation("conv_1", 0.0, "{}"), items("first"))
    await own.responses.save(response("resp_1", "in", conversation="conv_1"), outcome("out"))
    await own.responses.save(response("resp_2", "in2", conversation="conv_1"), outcome("out2"))
    assert ids(await own.responses.history("resp_1")) == ["first", "in", "out"]
    await own.responses.save(response("resp_3", "x", previous="resp_1"), outcome("y"))
    assert ids(await own.responses.history("resp_3")) == ["first", "in", "out", "x", "y"]


async def test_unknown_conversation_begins_nothing(own: OwnedState) -> None:
    with pytest.raises(ConversationNotFoundError):
        await own.responses.begin(response("resp_1", conversation="conv_9"))
    with pytest.raises(ResponseNotFoundError):
        await own.responses.get("resp_1")


async def test_input_items_come_in_pages(own: OwnedState) -> None:
    await own.responses.save(response("resp_1", "a", "b", "c"), outcome("out"))
    page = await own.responses.input_items("resp_1", PageRequest(2))
    assert (ids(page.entries), page.has_more) == (["c", "b"], True)
    page = await own.responses.input_items("resp_1", PageRequest(2, after="b"))
    assert (ids(page.entries), page.has_more) == (["a"], False)
    page = await own.responses.input_items("resp_1", PageRequest(2, "asc", "a"))
    assert (ids(page.entries), page.has_more) == (["b", "c"], False)
    with pytest.raises(InvalidRequestError):
        await own.responses.input_items("resp_1", PageRequest(after="out"))


async def test_events_are_followed_to_the_end_from_wherever_one_was_cut(own: OwnedState) -> None:
    await own.responses.begin(response(is_background=True))
    await own.responses.append_events("resp_1", events(0, 1))
    whole = asyncio.create_task(followed(own, "resp_1"))
    late = asyncio.create_task(followed(own, "resp_1", 2))
    await asyncio.sleep(0)
    await own.responses.append_events("resp_1", events(2, 3))
    await own.responses.finish("resp_1", outcome("out"), events(4))
    assert await whole == [0, 1, 2, 3, 4]
    assert await late == [3, 4]
    assert await followed(own, "resp_1", 3) == [4]


async def test_other_process_follows_and_cancels(own: OwnedState, options: StateOptions) -> None:
    other = State(options)
    theirs = await other.of("alice")
    await own.responses.begin(response(is_background=True))
    cancelled = asyncio.create_task(own.responses.cancel_requested("resp_1"))
    following = asyncio.create_task(followed(theirs, "resp_1"))
    await own.responses.append_events("resp_1", events(0))
    assert (await theirs.responses.request_cancel("resp_1")).status == "in_progress"
    await cancelled
    await own.responses.finish("resp_1", outcome(), events(1))
    assert await following == [0, 1]
    await other.aclose()


async def test_response_without_events_is_not_followed(own: OwnedState) -> None:
    await own.responses.save(response("resp_1"), outcome())
    with pytest.raises(InvalidRequestError, match="events are not kept"):
        await followed(own, "resp_1")


async def test_following_ends_where_the_response_is_deleted(own: OwnedState) -> None:
    await own.responses.begin(response(is_background=True))
    following = asyncio.create_task(followed(own, "resp_1"))
    await asyncio.sleep(0)
    await own.responses.delete("resp_1")
    with pytest.raises(ResponseNotFoundError):
        await following
