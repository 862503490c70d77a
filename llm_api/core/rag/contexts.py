"""Lines that place chunks in their documents, for what is embedded and searched by words. Pure.

The chunk, its span and its quote stay as they are. Whoever stores the same document again leaves
it as it is: its content hash begins with the one that it would have without lines.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from llm_api.core.rag.prepare import base_hash, passage
from llm_api.core.rag.types import Chunk, Document, Span
from llm_api.core.rag.vector_store import EmbeddedChunk, NewDocument, Vector

MAX_LINE: Final = 160
"""Characters: what stands above a chunk may have 200, the headings included."""

WINDOW_CHARACTERS: Final = 12_000
"""Of a document that a model reads to place a chunk: about 3,000 tokens."""


@dataclass(frozen=True, slots=True)
class WrittenTokens:
    """Tokens of prompts, those of them that were shared and not computed, and of what came."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: "WrittenTokens") -> "WrittenTokens":
        return WrittenTokens(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
        )


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """What a model has written, and what that took."""

    text: str
    tokens: WrittenTokens


@dataclass(frozen=True, slots=True)
class PlacedDocument:
    """A document as it is stored under `stored_hash`, and the lines of its chunks by position."""

    document: Document
    stored_hash: str
    chunks: Sequence[Chunk]
    lines: Mapping[int, str]

    def passages(self, *, with_lines: bool) -> list[str]:
        """What is embedded of each chunk."""
        return [passage(self.document, self._headed(one, with_lines)) for one in self.chunks]

    def new(self, vectors: Sequence[Vector], *, with_lines: bool) -> NewDocument:
        """To be stored with these vectors of its passages, where it is still the same."""
        chunks = [
            EmbeddedChunk(one, vector, self._words(one, with_lines))
            for one, vector in zip(self.chunks, vectors, strict=True)
        ]
        if not with_lines:
            return NewDocument(self.document, self.stored_hash, chunks)
        lines = json.dumps(sorted(self.lines.items())).encode()
        digest = f"{base_hash(self.stored_hash)}+{sha256(lines).hexdigest()[:16]}"
        return NewDocument(self.document, digest, chunks, len(self.lines), self.stored_hash)

    def _headed(self, chunk: Chunk, with_lines: bool) -> Chunk:
        line = self.lines.get(chunk.position, "") if with_lines else ""
        return replace(chunk, headings=(*chunk.headings, line))

    def _words(self, chunk: Chunk, with_lines: bool) -> str:
        """BM25 reads all that stands above a chunk: it has no bound that headings could break."""
        if not self.lines.get(chunk.position) or not with_lines:
            return passage(self.document, chunk)
        headed = self._headed(chunk, with_lines=True)
        parts = dict.fromkeys((self.document.title, *headed.headings))
        return "\n".join([*filter(None, parts), chunk.text])


def window(text: str, span: Span, characters: int) -> str:
    """As much of a text around a span as a model reads: the same for all spans that begin in it."""
    if len(text) <= characters:
        return text
    start = span.start // characters * characters
    return text[start : start + characters]


def shortened(line: str) -> str:
    """A line of MAX_LINE characters at most, whole words."""
    if len(line) <= MAX_LINE:
        return line
    return line[: MAX_LINE + 1].rpartition(" ")[0] or line[:MAX_LINE]
