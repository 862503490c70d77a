"""Responses by what they go on from: listed, searched, read with their branches, deleted."""

from dataclasses import replace

import pytest

from llm_api.core.errors import InvalidRequestError, ResponseNotFoundError
from llm_api.core.state.opened import OwnedState
from llm_api.core.state.records import PageRequest, StoredConversation, ThreadSearch
from tests.core.state.samples import ids, outcome, response

PAGE = PageRequest()


@pytest.fixture
async def branched(own: OwnedState) -> OwnedState:
    """One thread of two branches, and another one."""
    await own.responses.save(response("resp_1", "one"), outcome("first"))
    await own.responses.save(response("resp_2", "two", previous="resp_1"), outcome("second"))
    await own.responses.save(response("resp_3", "three", previous="resp_1"), outcome("third"))
    await own.responses.save(response("resp_4", "four"), outcome("fourth"))
    return own


async def test_thread_is_what_goes_on_from_one_response(branched: OwnedState) -> None:
    turns = await branched.threads.turns("resp_1")
    assert [turn.response.id for turn in turns] == ["resp_1", "resp_2", "resp_3"]
    assert [ids(turn.inputs) for turn in turns] == [["one"], ["two"], ["three"]]


async def test_threads_are_listed_by_their_last_change(branched: OwnedState) -> None:
    page = await branched.threads.list(PAGE)
    assert [(one.id, one.responses, one.is_running) for one in page.entries] == [
        ("resp_4", 1, False),
        ("resp_1", 3, False),
    ]
    await branched.responses.begin(response("resp_5", "five", previous="resp_3"))
    await branched.responses.finish("resp_5", outcome())
    page = await branched.threads.list(PageRequest(limit=1))
    assert [one.id for one in page.entries] == ["resp_1"]
    assert page.has_more
    page = await branched.threads.list(PageRequest(limit=1, after="resp_1"))
    assert ([one.id for one in page.entries], page.has_more) == (["resp_4"], False)


async def test_thread_with_a_response_under_way_is_running(branched: OwnedState) -> None:
    await branched.responses.begin(response("resp_5", "five", previous="resp_4"))
    running = {one.id: one.is_running for one in (await branched.threads.list(PAGE)).entries}
    assert running == {"resp_1": False, "resp_4": True}


async def test_threads_are_found_by_what_is_said_and_judged(branched: OwnedState) -> None:
    async def found(words: str, *, is_said: bool = True) -> list[str]:
        page = await branched.threads.list(PAGE, ThreadSearch(words, lambda _: is_said))
        return [one.id for one in page.entries]

    assert await found("THIRD") == ["resp_1"]
    assert await found("four") == ["resp_4"]
    assert await found("%") == []
    assert await found("third", is_said=False) == []


async def test_thread_whose_first_response_is_gone_begins_with_the_next(
    branched: OwnedState,
) -> None:
    await branched.responses.delete("resp_1")
    assert {one.id for one in (await branched.threads.list(PAGE)).entries} == {
        "resp_2",
        "resp_3",
        "resp_4",
    }


async def test_responses_of_a_conversation_are_in_no_thread(own: OwnedState) -> None:
    await own.conversations.create(StoredConversation("conv_1", 0.0, "{}"))
    await own.responses.save(response("resp_1", conversation="conv_1"), outcome())
    assert (await own.threads.list(PAGE)).entries == []


async def test_another_beginning_is_in_the_thread_that_it_names(branched: OwnedState) -> None:
    again = replace(response("resp_6", "one again"), thread_id="resp_1")
    await branched.responses.save(again, outcome("other"))
    await branched.responses.save(response("resp_7", "more", previous="resp_6"), outcome())
    turns = await branched.threads.turns("resp_1")
    assert [turn.response.id for turn in turns][3:] == ["resp_6", "resp_7"]
    nowhere = replace(response("resp_8", "lost"), thread_id="resp_none")
    await branched.responses.save(nowhere, outcome())
    assert len((await branched.threads.list(PAGE)).entries) == 3


async def test_deleted_thread_is_gone_with_its_branches(branched: OwnedState) -> None:
    assert await branched.threads.delete("resp_1") == 3
    assert [one.id for one in (await branched.threads.list(PAGE)).entries] == ["resp_4"]
    with pytest.raises(ResponseNotFoundError):
        await branched.threads.turns("resp_1")
    with pytest.raises(InvalidRequestError):
        await branched.threads.list(PageRequest(after="resp_1"))
