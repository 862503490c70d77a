"""What makes a document the same one, and its content the same content. Pure."""

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Final

from llm_api.core.rag.types import Document, Metadata, TextSection

_STEP_CHARACTERS: Final = 64 * 1024
_STEP_SECTIONS: Final = 1024

_UNCARRIED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|(?:^|/)\.\.?(?:/|$)")


def is_carried(document_id: str) -> bool:
    """Whether a URL names this id, whatever passes it on.

    Control characters and line ends are cut out or refused on the way, and `.` and `..` between
    slashes resolved.
    """
    return _UNCARRIED.search(document_id) is None


def new_document(
    text: str,
    *,
    id: str | None = None,
    title: str = "",
    metadata: Metadata | None = None,
    sections: tuple[TextSection, ...] = (),
    among: str = "",
) -> Document:
    """A document; without an id, its words are its identity, so that it is never there twice.

    It is so `among` those who see the same documents: the same words of others are another one.
    """
    words = {"text": text, "title": title} | ({"among": among} if among else {})
    return Document(id or _digest(words), text, title, metadata or {}, sections)


def content_hash(document: Document, chunking: str, model: str) -> Generator[None, None, str]:
    """Stands for all that chunks and vectors are made of: not for the metadata.

    Computed in short steps, and returned at the end.
    """
    return _digesting(
        {
            "text": document.text,
            "title": document.title,
            "sections": document.sections,
            "chunking": chunking,
            "model": model,
        }
    )


def _digest(parts: Mapping[str, str]) -> str:
    steps = _digesting(parts)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return str(end.value)


def _digesting(parts: Mapping[str, str | Sequence[TextSection]]) -> Generator[None, None, str]:
    """The hash of `json.dumps(parts, sort_keys=True)`."""
    digest = sha256()
    for number, (name, value) in enumerate(sorted(parts.items())):
        digest.update(f"{', ' if number else '{'}{json.dumps(name)}: ".encode())
        for piece in _of_text(value) if isinstance(value, str) else _of_sections(value):
            digest.update(piece.encode())
            yield
    digest.update(b"}")
    return digest.hexdigest()


def _of_text(text: str) -> Iterator[str]:
    yield '"'
    for start in range(0, len(text), _STEP_CHARACTERS):
        yield json.dumps(text[start : start + _STEP_CHARACTERS])[1:-1]
    yield '"'


def _of_sections(sections: Sequence[TextSection]) -> Iterator[str]:
    yield "["
    for start in range(0, len(sections), _STEP_SECTIONS):
        step = [asdict(section) for section in sections[start : start + _STEP_SECTIONS]]
        yield (", " if start else "") + json.dumps(step, sort_keys=True)[1:-1]
    yield "]"
