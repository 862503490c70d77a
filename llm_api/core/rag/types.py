"""The vocabulary of retrieval: documents, their chunks, and where words stand. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool
MetadataValue: TypeAlias = Scalar | list[Scalar] | None
Metadata: TypeAlias = Mapping[str, MetadataValue]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of a document's text, the end excluded."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TextSection:
    """A part of a document's text that begins at character `start`, under these headings.

    The last heading of a long table is its header, so that each chunk of it names its columns.
    `page` counts from 1 where the document has pages.
    """

    start: int
    headings: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be found again. `sections` ascend; the text before the first one is under none."""

    id: str
    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)
    sections: tuple[TextSection, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is embedded and found: its words, and where they stand.

    `text == document.text[span.start : span.end]`, always. `position` counts the chunks of a
    document from 0. `id` is the same for the same words at the same place of the same document.
    """

    id: str
    document_id: str
    position: int
    text: str
    span: Span
    headings: tuple[str, ...] = ()
    page: int | None = None
