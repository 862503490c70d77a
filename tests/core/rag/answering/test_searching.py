import pytest

from llm_api.core.rag.answering.searching import spoken_grammar
from tests.core.llm.output.grammars import Grammar


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("Cats sleep [2].", True),
        ("Cats sleep [note] and a list[x].", True),
        ("[1]", False),
        (" Cats", False),
        ('{"name": "file_search"}', False),
        ("Cats [3]", False),
    ],
)
def test_answer_begins_with_words_and_names_only_what_was_found(text: str, fits: bool) -> None:
    assert Grammar(spoken_grammar(2)).accepts(text) is fits
