"""What makes a document the same one, and its content the same content. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256

from llm_api.core.rag.types import Document, Metadata, Section


def new_document(
    text: str,
    *,
    id: str | None = None,
    title: str = "",
    metadata: Metadata | None = None,
    sections: tuple[Section, ...] = (),
) -> Document:
    """A document; without an id, its words are its identity, so that it is never there twice."""
    return Document(
        id or _digest({"text": text, "title": title}), text, title, metadata or {}, sections
    )


def content_hash(document: Document, chunking: str, model: str) -> str:
    """Stands for all that chunks and vectors are made of: not for the metadata."""
    return _digest(
        {
            "text": document.text,
            "title": document.title,
            "sections": [asdict(section) for section in document.sections],
            "chunking": chunking,
            "model": model,
        }
    )


def _digest(parts: Mapping[str, object]) -> str:
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
