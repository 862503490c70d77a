"""Searches of one answer: what is asked for, numbered, and left out."""

import pytest

from llm_api.core.errors import InvalidArgumentsError
from llm_api.core.rag.answering.searches import MAX_QUERIES, DocumentSearches, read_queries
from llm_api.core.rag.ingest import Ingester, each
from llm_api.core.rag.retrieve import Retriever, SearchOptions
from llm_api.core.rag.types import Document
from tests.core.rag.fakes import FakeEmbedder, FakeStore, by_lines


async def searches(
    *collections: str, room: int = 1000, top_k: int = 3, **documents: str
) -> DocumentSearches:
    """Over collections that all hold these documents. A token is a word."""
    store, embedder = FakeStore(), FakeEmbedder()
    given = [Document(id, text) for id, text in documents.items()]
    for name in collections:
        await Ingester(store, embedder, by_lines()).ingest(name, each(given), lambda _: None)
    retriever = Retriever(store, embedder, score_threshold=0.3)
    made = DocumentSearches(retriever, collections, SearchOptions("", top_k))
    made.begin(words, room)
    return made


async def words(texts: object) -> list[int]:
    assert isinstance(texts, list)
    return [len(text.split()) for text in texts]


async def test_what_is_found_again_keeps_its_number_and_is_not_shown_again() -> None:
    made = await searches("pets", cats="cats sleep long", dogs="dogs bark loud")
    first = await made.search(["dogs bark"])
    second = await made.search(["cats sleep", "dogs bark"])
    assert [one.number for one in first.found] == [1]
    assert [(one.hit.chunk.document_id, one.number) for one in second.found] == [
        ("cats", 2),
        ("dogs", 1),
    ]
    assert "dogs bark loud" in first.text
    assert "dogs bark loud" not in second.text
    assert '<source number="1">as above</source>' in second.text
    assert [chunk.document_id for chunk in made.chunks()] == ["dogs", "cats"]


async def test_each_query_has_its_turn_and_no_passage_comes_twice() -> None:
    made = await searches("pets", top_k=2, a="cats sleep\ncats sleep long", b="dogs bark")
    found = (await made.search(["cats sleep", "dogs bark"])).found
    assert [one.hit.chunk.text for one in found] == ["cats sleep", "dogs bark"]


async def test_same_document_of_two_collections_is_two_sources() -> None:
    made = await searches("one", "two", cats="cats sleep")
    found = (await made.search(["cats sleep"])).found
    assert [(one.collection, one.number) for one in found] == [("one", 1), ("two", 2)]


async def test_passages_without_room_are_left_out() -> None:
    made = await searches("pets", room=12, cats="cats sleep", kittens="cats sleep " * 9)
    searched = await made.search(["cats sleep"])
    assert [one.hit.chunk.document_id for one in searched.found] == ["cats"]
    assert searched.omitted == 1
    nothing = await made.search(["cats sleep sleep"])
    assert nothing.text.count("as above") == 1


async def test_nothing_found_is_said() -> None:
    made = await searches("pets", cats="cats sleep")
    assert (await made.search(["tax forms"])).text == "Nothing was found."
    tight = await searches("pets", room=1, cats="cats sleep")
    assert (await tight.search(["cats sleep"])).text == "There is no room for what was found."


async def test_question_is_searched_for_beside_the_first_queries_alone() -> None:
    made = await searches("pets", cats="cats sleep")
    made.question = "Do cats sleep?"
    assert (await made.asked(("cats",))).queries == ("Do cats sleep?", "cats")
    assert (await made.asked(("Sleep", "sleep"))).queries == ("Sleep",)


@pytest.mark.parametrize(
    ("arguments", "queries"),
    [
        ({"queries": ["cats", " cats ", "dogs\n bark"]}, ("cats", "dogs bark")),
        ({"query": "cats"}, ("cats",)),
        ({"queries": [str(number) for number in range(99)]}, ("0", "1", "2", "3")[:MAX_QUERIES]),
    ],
)
def test_queries_of_a_call_are_read(arguments: dict[str, object], queries: tuple[str, ...]) -> None:
    assert read_queries(arguments) == queries


@pytest.mark.parametrize("arguments", [{}, {"queries": []}, {"queries": [" "]}, {"queries": {}}])
def test_call_without_queries_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentsError):
        read_queries(arguments)
