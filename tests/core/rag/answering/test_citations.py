import pytest

from llm_api.core.rag.answering import citations as module
from llm_api.core.rag.answering.citations import (
    REACH,
    Citation,
    CitationCursor,
    citation_grammar,
    claims,
    find_citations,
)
from llm_api.core.rag.types import Chunk, Span
from tests.core.llm.output.grammars import Grammar

HEAD = "Cut off. "
FIRST = "Docker packs programs in containers. A container shares the kernel. Images are layers."
SECOND = "Der Rhein ist 1.233 km lang. Er fließt durch Köln."


def source(number: int, text: str, start: int = 0) -> Chunk:
    return Chunk(f"c{number}", f"d{number}", 0, text, Span(start, start + len(text)))


SOURCES = [source(1, FIRST, len(HEAD)), source(2, SECOND)]


def quotes(answer: str) -> list[tuple[int, str]]:
    return [(citation.number, citation.quote) for citation in find_citations(answer, SOURCES)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("No marker [note] [0] [x1].", []),
        ("It shares the host's kernel [1].", [(1, "A container shares the kernel.")]),
        ("It shares the kernel. [1]", [(1, "A container shares the kernel.")]),
        ("It shares the kernel.[1] Images have layers.", [(1, "A container shares the kernel.")]),
        ("[1] Images have layers.", [(1, "Images are layers.")]),
        ("According to [1] images have layers.", [(1, "Images are layers.")]),
        (
            "Images are layers [1]. The Rhine (Rhein) has 1.233 km [2].",
            [(1, "Images are layers."), (2, "Der Rhein ist 1.233 km lang.")],
        ),
        (
            "Images are layers. [1] [2] Next.",
            [(1, "Images are layers."), (2, SECOND)],
        ),
        ("Layers [7].", []),
        ("Nothing alike [2].", [(2, SECOND)]),
        ("[2]", [(2, SECOND)]),
    ],
)
def test_marker_quotes_what_its_sentence_is_about(
    answer: str, expected: list[tuple[int, str]]
) -> None:
    assert quotes(answer) == expected


@pytest.mark.parametrize("size", [1, 3, 7])
def test_citations_of_an_answer_in_pieces_are_those_of_the_whole(size: int) -> None:
    answer = "Images are layers [1]. It shares the kernel. [1][2] The Rhein has km [2]. " * 3
    found: list[Citation] = []
    cursor = CitationCursor(SOURCES)
    for start in range(0, len(answer), size):
        if cursor.add(answer[start : start + size]):
            found += cursor.found()
    assert cursor.text == answer
    assert found == find_citations(answer, SOURCES)


def test_many_markers_cost_no_more_each_than_few(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def claims_and_note(text: str) -> list[tuple[Span, str]]:
        nonlocal read
        read += len(text)
        return claims(text)

    monkeypatch.setattr(module, "claims", claims_and_note)
    answer = "Layers [1]." * 2000
    for end in range(11, len(answer), 11):
        assert len(find_citations(answer[:end], SOURCES, end - 11)) == 1
    assert read < 2000 * 2 * REACH


def test_citation_points_into_the_answer_and_into_the_document() -> None:
    answer = "It shares the kernel [1]."
    (citation,) = find_citations(answer, SOURCES)
    assert answer[citation.marker.start : citation.marker.end] == "[1]"
    assert citation.document_id == "d1"
    assert (HEAD + FIRST)[citation.span.start : citation.span.end] == citation.quote


@pytest.mark.parametrize(
    ("text", "is_possible"),
    [
        ("", True),
        ("Plain text, 1 of 3.\nAnd more.", True),
        ("So it is [1][2], and [3].", True),
        ("A [note], [] and [[link]] stay, as does [x7].", True),
        ("日本語 [2]。", True),
        ("[[3]", True),
        ("invented [7]", False),
        ("invented [4]", False),
        ("invented [0]", False),
        ("invented [12]", False),
        ("invented [1, 2]", False),
        ("invented [01]", False),
        ("invented [ 7]", False),
        ("invented [[7]]", False),
        ("invented [\N{FULLWIDTH DIGIT SEVEN}]", False),
        ("invented [\n7]", False),
    ],
)
def test_grammar_lets_no_other_number_into_brackets(text: str, is_possible: bool) -> None:
    assert Grammar(citation_grammar(3)).accepts(text) == is_possible


def test_grammar_counts_beyond_nine() -> None:
    grammar = Grammar(citation_grammar(12))
    assert all(grammar.accepts(f"x [{number}]") for number in range(1, 13))
    assert not any(grammar.begins(f"x [{number}]") for number in (0, 13, 20, 100, 111))


def test_grammar_without_sources_has_no_markers() -> None:
    grammar = Grammar(citation_grammar(0))
    assert grammar.accepts("none [note]")
    assert not grammar.begins("one [1]")


def test_closing_bracket_is_forced_behind_the_only_number() -> None:
    assert Grammar(citation_grammar(1)).forces("It is so [1") == "]"
