"""Citations of an answer, and the grammars that hold its markers to the sources. Pure."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from llm_api.core.rag.types import Span

CitationMode: TypeAlias = Literal["model", "alignment", "both", "none", "required"]
"""Where citations come from: the model's markers, a comparison of each sentence with the sources,
or both. `required` holds the model to a marker for each sentence."""

MOST_MARKERS: Final = 3
"""Of a sentence, where each must have one: a small model goes on with them for ever."""

_ELLIPSIS: Final = "\u2026"

NOT_COVERED: Final = "The documents do not cover this question."


@dataclass(frozen=True, slots=True)
class Citation:
    """What of a source a sentence of the answer stands on.

    `marker` is the place of `[1]` in the answer, or the empty span at the end of the sentence where
    the model wrote none (`by` "alignment"). `sentence` is the place of what is cited. `span` is
    that of the quote in the document's text, where the quote stands character by character.
    `score` says how much the quote is like the sentence; below a measured threshold it is not
    `supported`: the model has named a source that does not say this.
    """

    number: int
    marker: Span
    document_id: str
    span: Span
    quote: str
    by: Literal["model", "alignment"]
    sentence: Span
    score: float
    supported: bool


def citation_grammar(sources: int) -> str:
    """Any text in which a bracket before a digit is a marker of one of the sources.

    In llguidance's Lark. `[note]` and `[]` stay possible; `[ 7]` and `list[0]` do not.
    """
    marker = rf"({_numbers(sources)})\]|" if sources else ""
    return "start: TEXT\n" + rf"TEXT: /([^\[]|\[+({marker}[^\[\d\s]))*/" + "\n"


def required_grammar(sources: int) -> str:
    """Sentences that each have a marker before or behind their stop, or `NOT_COVERED` alone.

    A sentence ends at a stop before white space, or at the end of the line. A stop that stands
    before a letter or digit ends none, and those of titles and initials do not.
    """
    stop = ".!?\u2026\u3002\uff01\uff1f"
    marker = rf"( ?\[({_numbers(sources)})\]){{1,{MOST_MARKERS}}}"
    inner = rf"([^\[\]\n{stop}]|[.{_ELLIPSIS}]+[0-9A-Za-z_\/\-]|(Dr|Mr|Mrs|Ms|Prof|St|[A-Z])\. )+"
    sentence = f"{inner}({marker}[{stop}]?|[{stop}]+{marker})"
    return (
        f'start: "{NOT_COVERED}" | SENTENCES\n'
        rf"SENTENCES: /{sentence}(( |\n\n?){sentence})*\n?/"
        "\n"
    )


def _numbers(sources: int) -> str:
    return "|".join(str(number) for number in range(sources, 0, -1))
