import pytest

from llm_api.core.errors import ContextLengthExceededError, InvalidRequestError
from llm_api.core.rag.answering import given as module
from llm_api.core.rag.answering.citer import Citer
from llm_api.core.rag.answering.given import (
    PIECE_CHARACTERS,
    GivenSource,
    GivenSources,
    given_blocks,
    given_pages,
)
from llm_api.core.rag.types import Span, TextSection

TEXT = GivenSource("The grass is green. The sky is blue.", "Colours", "seen at noon")
PAGES = given_pages(
    "Cats sleep long.\n\nDogs bark loud.\n\nCows eat grass.",
    (
        TextSection(0, (), 1),
        TextSection(18, (), 2),
        TextSection(22, ("Noise",), 2),
        TextSection(34, (), 4),
    ),
    "Animals",
)
BLOCKS = given_blocks(["Iron rusts. Iron is heavy.", "Gold does not rust."], "Metals")
FOUND = given_blocks(["Tea has caffeine."], "Drinks", sort="search_result")


def cited(*sources: GivenSource) -> GivenSources:
    given = GivenSources()
    for number, source in enumerate(sources):
        given.add(source, is_cited=True, param=f"messages[{number}]")
    return given


async def citation(given: GivenSources, answer: str) -> tuple[str, int, Span, str]:
    citer = Citer(given.chunks(), None, "model")
    citer.add(answer)
    citer.end()
    [cited] = await citer.all()
    await citer.aclose()
    [found] = cited.citations
    placed = given.placed(found)
    return placed.source.title, placed.index, placed.place, placed.quote


def test_source_to_be_cited_has_a_number_and_a_plain_one_has_none() -> None:
    head = 'name="Colours" context="seen at noon">'
    assert GivenSources().add(TEXT, is_cited=False, param="x") == (
        f"<source {head}\n{TEXT.text}\n</source>"
    )
    assert GivenSources().add(TEXT, is_cited=True, param="x") == (
        f'<source number="1" {head}\n{TEXT.text}\n</source>'
    )


def test_nothing_in_a_source_ends_it() -> None:
    shown = GivenSources().add(GivenSource("a</source>b", '"><x'), is_cited=True, param="x")
    assert shown == '<source number="1" name="\'&gt;&lt;x">\na&lt;/source>b\n</source>'


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The sky is blue [1].", ("Colours", 0, Span(20, 36), "The sky is blue.")),
        ("Dogs bark [2].", ("Animals", 1, Span(2, 3), "Dogs bark loud.")),
        ("Cows eat grass [2].", ("Animals", 1, Span(4, 5), "Cows eat grass.")),
        ("Cats sleep, dogs bark loud [2].", ("Animals", 1, Span(1, 3), PAGES.text[:33])),
        ("Iron rusts [3].", ("Metals", 2, Span(0, 1), "Iron rusts. Iron is heavy.")),
        ("Gold never does rust [3].", ("Metals", 2, Span(1, 2), "Gold does not rust.")),
        ("Caffeine is in tea [4].", ("Drinks", 0, Span(0, 1), "Tea has caffeine.")),
    ],
)
async def test_citation_stands_where_its_source_tells_places(
    answer: str, expected: tuple[str, int, Span, str]
) -> None:
    assert await citation(cited(TEXT, PAGES, BLOCKS, FOUND), answer) == expected


def test_file_without_pages_is_cited_by_characters() -> None:
    source = given_pages("All of it.", [TextSection(0, ("Heading",))], "Title")
    assert source == GivenSource("All of it.", "Title")


async def test_long_source_has_a_number_for_each_piece_of_whole_sentences() -> None:
    text = " ".join(f"Sentence {number} is like the others." for number in range(200))
    given = cited(GivenSource(text), TEXT)
    chunks = given.chunks()
    assert "".join(chunk.text for chunk in chunks[:-1]) == text
    assert all(len(chunk.text) < PIECE_CHARACTERS + 100 for chunk in chunks)
    assert all(chunk.text.startswith((" Sentence", "Sentence")) for chunk in chunks[:-1])
    place = Span(text.index("Sentence 150"), text.index("Sentence 151") - 1)
    number = int(given.marker("document", 0, place).strip(" []"))
    assert await citation(given, f"Sentence 150 is so [{number}].") == (
        "", 0, place, "Sentence 150 is like the others."
    )  # fmt: skip


def test_text_without_sentences_is_cut_too() -> None:
    pieces = cited(GivenSource("x" * 10_000)).chunks()
    assert [len(piece.text) for piece in pieces] == [PIECE_CHARACTERS] * 5


def test_earlier_citation_is_its_marker_again() -> None:
    given = cited(TEXT, PAGES, FOUND)
    assert given.marker("document", 1, Span(2, 3)) == " [2]"
    assert given.marker("search_result", 0, Span(0, 1)) == " [3]"
    assert given.marker("search_result", 1, Span(0, 1)) == ""
    assert given.marker("document", 0, Span(99, 100)) == ""


def test_all_sources_of_a_sort_are_cited_or_none() -> None:
    given = cited(TEXT)
    given.add(FOUND, is_cited=False, param="messages[1]")
    with pytest.raises(InvalidRequestError, match="all of the document blocks") as caught:
        given.add(BLOCKS, is_cited=False, param="messages[2]")
    assert caught.value.param == "messages[2]"


def test_more_than_markers_can_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PIECES", 2)
    with pytest.raises(ContextLengthExceededError, match="more text than any model"):
        cited(TEXT, PAGES, BLOCKS)


def test_empty_source_is_no_source() -> None:
    given = cited(GivenSource(""))
    assert not given.are_cited
