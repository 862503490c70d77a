from dataclasses import replace

import pytest

from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.types import GrammarFormat, JSONFormat, OutputFormat
from llm_api.core.rag.answering.citations import (
    CitationMode,
    citation_grammar,
    required_grammar,
)
from llm_api.core.rag.answering.manner import Manner
from llm_api.core.rag.answering.quotes import quote_grammar
from llm_api.core.rag.types import Chunk, Span
from tests.fakes import CARD

SOURCES = [Chunk("c", "d", 0, "Cats sleep.", Span(0, 11))]
UNBOUND = replace(CARD, capabilities=Capabilities(frozenset(), frozenset()))


@pytest.mark.parametrize(
    ("manner", "grammar"),
    [
        (Manner("both"), citation_grammar(1)),
        (Manner("model"), citation_grammar(1)),
        (Manner("required"), required_grammar(1)),
        (Manner("both", quotes=True), quote_grammar(["Cats sleep."])),
    ],
)
def test_answer_with_markers_is_held_to_those_that_there_are(manner: Manner, grammar: str) -> None:
    assert manner.output_format(None, CARD, SOURCES) == GrammarFormat(grammar)


@pytest.mark.parametrize("mode", ["alignment", "none"])
def test_model_that_is_to_write_no_markers_is_told_of_none(mode: CitationMode) -> None:
    assert "[1]" not in Manner(mode).instructions
    assert Manner(mode).output_format(None, CARD, SOURCES) is None


def test_model_that_follows_no_grammar_is_asked_without_one() -> None:
    assert Manner("both").output_format(None, UNBOUND, SOURCES) is None
    Manner("both").check(None, UNBOUND)


@pytest.mark.parametrize(
    ("manner", "param"),
    [(Manner("required"), "citations"), (Manner("both", quotes=True), "quote")],
)
@pytest.mark.parametrize(
    ("wanted", "card", "kind"),
    [
        (None, UNBOUND, UnsupportedParameterError),
        (JSONFormat({}), CARD, InvalidRequestError),
    ],
)
def test_what_only_a_grammar_can_hold_is_refused_without_one(
    manner: Manner,
    param: str,
    wanted: OutputFormat | None,
    card: ModelCard,
    kind: type[InvalidRequestError],
) -> None:
    with pytest.raises(kind) as caught:
        manner.check(wanted, card)
    assert caught.value.param == param
