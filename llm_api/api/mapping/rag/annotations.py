"""Answers from documents in chat completions: annotations, and the extension `rag`. Pure."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from llm_api.api.mapping.rag.chat import to_source_list, to_support
from llm_api.api.mapping.rag.search import to_span
from llm_api.api.models.chat import AnswerMessage, Delta
from llm_api.api.models.rag.chat import Annotation, RagContext, UrlCitation
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.events import Sources, Supported
from llm_api.core.rag.answering.prompt import source_name
from llm_api.core.rag.types import Span
from llm_api.core.rag.vector_store import Hit

_NOWHERE = Span(0, 0)


@dataclass(slots=True)
class AnnotationWriter:
    """Writes the notes of one choice. Remembers its sources, which citations name by number."""

    _sources: tuple[Hit, ...] = field(default=())

    def delta(self, note: object) -> Delta:
        """What a `RagNote` adds to the message."""
        match note:
            case Sources():
                self._sources = note.given
                return Delta(
                    annotations=[self._source(number) for number, _ in enumerate(note.given, 1)],
                    rag=RagContext(**dict(to_source_list(note))),
                )
            case Citation():
                return Delta(annotations=[self._cited(note)])
            case Supported(sentences):
                return Delta(rag=RagContext(support=[to_support(one) for one in sentences]))
            case _:
                raise TypeError(f"{type(note).__name__} is no note of retrieval")

    def _source(self, number: int) -> Annotation:
        chunk = self._sources[number - 1].chunk
        return self._annotation(number, _NOWHERE, chunk.span, chunk.text)

    def _cited(self, citation: Citation) -> Annotation:
        note = self._annotation(citation.number, citation.marker, citation.span, citation.quote)
        cited = note.url_citation
        cited.by = citation.by
        cited.sentence = to_span(citation.sentence)
        cited.score = round(citation.score, 4)
        cited.supported = citation.supported
        return note

    def _annotation(self, number: int, marker: Span, span: Span, quoted: str) -> Annotation:
        hit = self._sources[number - 1]
        chunk = hit.chunk
        return Annotation(
            type="url_citation",
            url_citation=UrlCitation(
                start_index=marker.start,
                end_index=marker.end,
                title=source_name(hit),
                url=self._url(number),
                number=number,
                document_id=chunk.document_id,
                chunk_id=chunk.id,
                span=to_span(span),
                quote=quoted,
            ),
        )

    def _url(self, number: int) -> str:
        """Where the source can be read: where its metadata says, or on this server."""
        hit = self._sources[number - 1]
        for name in ("url", "source"):
            value = hit.metadata.get(name)
            if isinstance(value, str) and value.startswith(("http://", "https://")):
                return value
        document, collection = quote(hit.chunk.document_id), quote(hit.collection)
        return f"/v1/rag/documents/{document}?collection={collection}"


def add_to_message(message: AnswerMessage, delta: Delta) -> None:
    """Fold a delta of this module into the whole message. Mutates `message`."""
    if delta.annotations:
        message.annotations = [*message.annotations, *delta.annotations]
    if delta.model_fields_set & {"rag"}:
        message.rag = RagContext(**_set_fields(message.rag), **_set_fields(delta.rag))


def _set_fields(context: RagContext) -> dict[str, Any]:
    return {name: getattr(context, name) for name in context.model_fields_set}
