"""What answers a question about documents, beside the model's own events.

They travel as values of `Annotation`, so that such an answer is a stream like every other.
"""

from dataclasses import dataclass
from typing import TypeAlias

from llm_api.core.llm.collect import Completion
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.support import Support
from llm_api.core.rag.vector_store import Hit


@dataclass(frozen=True, slots=True)
class Sources:
    """What the model was given, `[1]` first. Always the first event after `Started`.

    `omitted` was found as well, and had no room. `question` is what was searched for.
    """

    question: str
    given: tuple[Hit, ...] = ()
    omitted: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Supported:
    """Whether the sources have what the sentences say, in the order of the answer."""

    sentences: tuple[Support, ...]


RagNote: TypeAlias = Sources | Citation | Supported
"""`Sources` first, a `Citation` behind the sentence that it is for, `Supported` last."""


@dataclass(frozen=True, slots=True)
class RagAnswer:
    """All notes of a whole answer. `support` is None where nobody asked for it."""

    sources: Sources
    citations: tuple[Citation, ...]
    support: tuple[Support, ...] | None


def read_notes(completion: Completion) -> RagAnswer:
    """The notes among the annotations of an answer."""
    notes = completion.annotations
    sources = next((note for note in notes if isinstance(note, Sources)), Sources(""))
    verdict = next((note for note in notes if isinstance(note, Supported)), None)
    return RagAnswer(
        sources,
        tuple(note for note in notes if isinstance(note, Citation)),
        None if verdict is None else verdict.sentences,
    )
