"""The notes of retrieval in chat completions: tables."""

import json

import pytest

from llm_api.api.mapping.rag.annotations import AnnotationWriter, add_to_message
from llm_api.api.models.chat import AnswerMessage, Delta
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.events import Sources, Supported
from llm_api.core.rag.answering.support import Support
from llm_api.core.rag.types import Metadata, Span
from tests.api.mapping.rag.values import WIRE_CATS, cats, dogs

CITED = {
    "title": "Pets / Animals / Cats / page 2",
    "url": "/v1/rag/documents/cats?collection=my%20pets",
    "number": 1,
    "document_id": "cats",
    "chunk_id": "c-1",
}
SOURCE = {
    "type": "url_citation",
    "url_citation": {
        **CITED,
        "start_index": 0,
        "end_index": 0,
        "span": {"start": 3, "end": 18},
        "quote": "cats sleep long",
    },
}
MARKER = {
    "type": "url_citation",
    "url_citation": {
        **CITED,
        "start_index": 11,
        "end_index": 14,
        "span": {"start": 3, "end": 13},
        "quote": "cats sleep",
        "by": "alignment",
        "sentence": {"start": 0, "end": 15},
        "score": 0.8765,
        "supported": True,
    },
}
CITATION = Citation(
    1,
    Span(11, 14),
    "cats",
    Span(3, 13),
    "cats sleep",
    "alignment",
    Span(0, 15),
    0.876543,
    supported=True,
)
SOURCES = Sources("when?", (cats(),))


def sent(delta: Delta | AnswerMessage) -> dict[str, object]:
    written: dict[str, object] = json.loads(delta.to_json())
    return written


def test_sources_are_annotations_at_no_place_of_the_answer() -> None:
    assert sent(AnnotationWriter().delta(SOURCES)) == {
        "annotations": [SOURCE],
        "rag": {
            "question": "when?",
            "sources": [{**WIRE_CATS, "number": 1, "collection": "my pets"}],
            "omitted": [],
        },
    }


def test_citation_is_an_annotation_at_its_marker() -> None:
    writer = AnnotationWriter()
    writer.delta(SOURCES)
    assert sent(writer.delta(CITATION)) == {"annotations": [MARKER]}


@pytest.mark.parametrize(
    ("metadata", "url"),
    [
        ({"url": "https://a.example/x"}, "https://a.example/x"),
        ({"source": "http://b.example"}, "http://b.example"),
        ({"source": "http://b.example", "url": "https://a.example"}, "https://a.example"),
        ({"url": "javascript:alert(1)"}, "/v1/rag/documents/cats?collection=my%20pets"),
        ({"url": 7, "source": "docs"}, "/v1/rag/documents/cats?collection=my%20pets"),
    ],
)
def test_source_is_read_where_its_metadata_says_or_here(metadata: Metadata, url: str) -> None:
    delta = AnnotationWriter().delta(Sources("when?", (cats(metadata),)))
    assert [one.url_citation.url for one in delta.annotations] == [url]


def test_id_is_quoted_in_the_address_of_a_document() -> None:
    delta = AnnotationWriter().delta(Sources("when?", (dogs(),)))
    [note] = delta.annotations
    assert note.url_citation.url == "/v1/rag/documents/my%20dogs/1?collection=c"
    assert note.url_citation.title == "my dogs/1"


def test_what_is_no_note_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="str"):
        AnnotationWriter().delta("a")


def test_deltas_add_up_to_the_message() -> None:
    writer = AnnotationWriter()
    message = AnswerMessage(role="assistant", content="Cats sleep [1].", refusal=None)
    add_to_message(message, Delta(content="x"))
    assert not {"rag", "annotations"} & message.model_fields_set
    support = Support("Cats sleep.", Span(0, 11), False, 0.0)
    for note in (SOURCES, CITATION, Supported((support,))):
        add_to_message(message, writer.delta(note))
    assert sent(message)["annotations"] == [SOURCE, MARKER]
    assert message.rag.model_fields_set == {"question", "sources", "omitted", "support"}
    assert (message.rag.question, len(message.rag.support)) == ("when?", 1)
