"""What answers a question about documents: the sources, then what a model says of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.types import Event
from llm_api.core.rag.retrieve import Found
from llm_api.core.rag.types import Span


class Citation(Protocol):
    """A marker in the answer, and the words of a document that it points to."""

    @property
    def number(self) -> int: ...
    @property
    def marker(self) -> Span: ...
    @property
    def document_id(self) -> str: ...
    @property
    def span(self) -> Span: ...
    @property
    def quote(self) -> str: ...


class Support(Protocol):
    """A sentence of the answer, and the passage of a document that is most like it, if any."""

    @property
    def sentence(self) -> str: ...
    @property
    def place(self) -> Span: ...
    @property
    def supported(self) -> bool: ...
    @property
    def score(self) -> float: ...
    @property
    def document_id(self) -> str | None: ...
    @property
    def span(self) -> Span | None: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What the model was given, `[1]` first. Always the first event.

    `omitted` was found as well, and had no room. `question` is what was searched for.
    """

    question: str
    given: tuple[Found, ...] = ()
    omitted: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Cited:
    """The text so far ends with one more marker."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Supported:
    """Whether the sources have what the sentences say, in the order of the answer."""

    sentences: tuple[Support, ...]


RagEvent: TypeAlias = Sources | Cited | Supported | Event
"""`Sources`, then a model's events with a `Cited` behind each marker; `Supported`, `Finished`."""


@dataclass(frozen=True, slots=True)
class RagAnswer:
    """A whole answer."""

    sources: Sources
    completion: Completion
    citations: Sequence[Citation]
    support: Sequence[Support]


async def collect_answer(events: AsyncIterator[RagEvent]) -> RagAnswer:
    """The fold: what is not streamed is what the stream adds up to.

    Raises GenerationError if the stream ends before the answer has finished.
    """
    answer = _Folding()
    (completion,) = await collect(answer.generated(events), choices=1)
    return RagAnswer(answer.sources, completion, answer.citations, answer.support)


@dataclass(slots=True)
class _Folding:
    """Keeps what is not a model's, while the rest passes through."""

    sources: Sources = field(default_factory=lambda: Sources(""))
    citations: list[Citation] = field(default_factory=list)
    support: tuple[Support, ...] = ()

    async def generated(self, events: AsyncIterator[RagEvent]) -> AsyncIterator[ChoiceEvent]:
        async for event in events:
            match event:
                case Sources():
                    self.sources = event
                case Cited(citation):
                    self.citations.append(citation)
                case Supported(sentences):
                    self.support = sentences
                case _:
                    yield ChoiceEvent(0, event)
