"""Values as the checks of answers give them."""

from dataclasses import dataclass, field

from llm_api.core.rag.types import Span


@dataclass(frozen=True)
class Verdict:
    """As `Support`."""

    sentence: str
    score: float = 1.0
    place: Span = field(default=Span(0, 1))
    supported: bool = True
    document_id: str | None = None
    span: Span | None = None
