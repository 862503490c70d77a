"""The words a chunk is found by: its own, under the title and headings it stands below. Pure."""

from llm_api.core.rag.types import Chunk, Document

MAX_HEADER = 200
"""Characters: about 50 tokens, which a chunk of 200 leaves free in a model that reads 256."""


def passage(document: Document, chunk: Chunk) -> str:
    """What is embedded for this chunk, and what BM25 indexes.

    A header that is too long loses its outer parts as a whole: the title, then the outer headings.
    """
    header = [part for part in dict.fromkeys((document.title, *chunk.headings)) if part]
    while header and len("\n".join(header)) > MAX_HEADER:
        header.pop(0)
    return "\n".join([*header, chunk.text])
