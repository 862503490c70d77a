import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.answering.quotes import NOTHING_SAID, QuoteReader, quote_grammar
from llm_api.core.rag.types import Chunk, Span
from tests.core.llm.output.grammars import Grammar

SOUP = 'Cream is added last. It must not be "frozen".\n\nIt keeps for two days [1].'
BREAD = "Rye bread has no yeast. It rests."
SOURCES = [
    Chunk("c1", "soup", 0, SOUP, Span(10, 10 + len(SOUP))),
    Chunk("c2", "bread", 0, BREAD, Span(0, len(BREAD))),
]


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(quote_grammar([SOUP, BREAD]))


@pytest.mark.parametrize(
    "answer",
    [
        NOTHING_SAID,
        '"Cream is added last." [1]',
        '"Cream is added last. It must not be "frozen"." [1]',
        '"It must not be "frozen".\n\nIt keeps for two days [1]." [1]',
        '"Cream is added last." [1]\n\n"It rests." [2]',
        '"Cream is added last." [1]\n\n"It keeps for two days [1]." [1]\n\n"It rests." [2]',
    ],
)
def test_whole_sentences_of_the_sources_are_answers(grammar: Grammar, answer: str) -> None:
    assert grammar.accepts(answer)


@pytest.mark.parametrize(
    "answer",
    [
        '"Cream is added" [1]',
        '"be "frozen"." [1]',
        '"Cream is added last." [2]',
        '"Cream is added last. It keeps for two days [1]." [1]',
        '"Cream is not added last." [1]',
        '"Cream is added last. " [1]',
        '"" [1]',
        "Cream is added last.",
        "",
        '"It rests." [2]\n\n"It rests." [2]',
        '"It rests." [2]\n\n"Cream is added last." [1]',
        '"It rests." [2]\n\n',
    ],
)
def test_anything_else_is_none(grammar: Grammar, answer: str) -> None:
    assert not grammar.accepts(answer)


def test_any_character_can_be_quoted() -> None:
    text = "Tab\tand \\ and \x07 and \u2028 and \U0001f600 and \u00e9 and {{ \\u0041."
    assert Grammar(quote_grammar([text])).accepts(f'"{text}" [1]')


def test_same_sentence_in_two_sources_can_be_quoted_from_both() -> None:
    grammar = Grammar(quote_grammar(["It rests. So.", "It rests."]))
    assert grammar.accepts('"It rests." [2]')
    assert grammar.accepts('"It rests." [1]\n\n"It rests." [2]')


def test_more_text_than_a_grammar_holds_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="lower 'top_k'") as caught:
        quote_grammar(["A sentence. " * 200] * 3)
    assert caught.value.param == "quote"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_each_quote_is_cited_where_it_stands(size: int) -> None:
    answer = '"It must not be "frozen".\n\nIt keeps for two days [1]." [1]\n\n"It rests." [2]'
    reader = QuoteReader(SOURCES)
    found = [
        citation
        for start in range(0, len(answer), size)
        for citation in reader.add(answer[start : start + size])
    ]
    assert [one.quote for one in found] == [SOUP[SOUP.index("It must") :], "It rests."]
    for one, text, start in zip(found, (SOUP, BREAD), (10, 0), strict=True):
        assert text[one.span.start - start : one.span.end - start] == one.quote
        assert answer[one.sentence.start : one.sentence.end] == one.quote
        assert answer[one.marker.start : one.marker.end] == f"[{one.number}]"
        assert (one.by, one.score, one.supported) == ("model", 1.0, True)
    assert [one.sentence for one in reader.support] == [one.quote for one in found]


@pytest.mark.parametrize("answer", [NOTHING_SAID, '"It rests." [1]', '"It rests." [7]', '"" [1]'])
def test_what_is_no_quote_is_not_cited(answer: str) -> None:
    assert QuoteReader(SOURCES).add(answer) == []
