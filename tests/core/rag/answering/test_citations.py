import pytest

from llm_api.core.rag.answering.citations import NOT_COVERED, citation_grammar, required_grammar
from tests.core.llm.output.grammars import Grammar


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


@pytest.mark.parametrize(
    "answer",
    [
        NOT_COVERED,
        "It is so [1].",
        "It is so. [1]",
        "It is so.[1] And so [2][3]!",
        "It costs 3.50 euros [1]. See docs.example.com or v2 [2].",
        "Dr. Smith came [2]. J. Doe went. [3]",
        "Two things [1]\n- one [2]\n\n- the other. [3]\n",
        "\u672c\u5f53\u3067\u3059 [1]\u3002",
    ],
)
def test_answers_with_a_marker_for_each_sentence_are_possible(answer: str) -> None:
    assert Grammar(required_grammar(3)).accepts(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "It is so. And",
        "It is so\nAnd",
        "It is so [4].",
        "So [1]. And so. But",
        "[1]",
        "So [1][1][1][1]",
    ],
)
def test_sentence_without_a_marker_is_impossible(answer: str) -> None:
    assert not Grammar(required_grammar(3)).begins(answer)


@pytest.mark.parametrize("answer", ["It is so", "It is so.", "So [1]. And so."])
def test_answer_cannot_end_before_its_marker(answer: str) -> None:
    grammar = Grammar(required_grammar(3))
    assert grammar.begins(answer)
    assert not grammar.accepts(answer)
