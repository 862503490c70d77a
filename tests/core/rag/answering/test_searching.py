from contextlib import aclosing

import pytest

from llm_api.core.llm.types import (
    ChatPrompt,
    GenerationRequest,
    GrammarFormat,
    Message,
    ToolChoice,
    ToolSpec,
)
from llm_api.core.rag.answering.searches import DocumentSearches
from llm_api.core.rag.answering.searching import TOOL, SpokenBackend, spoken_grammar
from llm_api.core.rag.retrieve import Retriever, SearchOptions
from tests.core.llm.output.grammars import Grammar
from tests.core.rag.fakes import FakeEmbedder, FakeStore
from tests.fakes import FakeBackend


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


@pytest.mark.parametrize(("others", "is_held"), [((), True), (("add",), False)])
async def test_search_that_found_nothing_is_answered_in_words_that_name_no_source(
    others: tuple[str, ...], is_held: bool
) -> None:
    """Where there is another function to call, the text is free."""
    backend, names = FakeBackend(), (TOOL, *others)
    searches = DocumentSearches(Retriever(FakeStore(), FakeEmbedder()), (), SearchOptions("", 3))
    prompt = ChatPrompt((Message("user", "When?"),), tools=tuple(map(ToolSpec, names)))
    choice = ToolChoice("auto", frozenset(names))
    request = GenerationRequest(prompt, 9, tool_choice=choice, is_prose=True)
    async with aclosing(SpokenBackend(backend, searches).generate(request)) as events:
        _ = [event async for event in events]
    (asked,) = backend.requests
    assert (asked.output_format == GrammarFormat(spoken_grammar(0))) is is_held
    assert bool(asked.callable_tools) is not is_held
