"""Mail (EML): who wrote what to whom and when, and the words. Attachments are named, not read."""

from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Final

from llm_api.core.rag.loaders.decode import clean, decode
from llm_api.core.rag.loaders.html import load_html
from llm_api.core.rag.loaders.loaded import LoadedText, TextBuilder

HEADERS: Final = ("Subject", "From", "To", "Cc", "Date")
_MOST_NAMED: Final = 20
_LONGEST_HEADER: Final = 1_000


def load_mail(data: bytes, max_characters: int) -> LoadedText:
    return load_message(message_from_bytes(data, EmailMessage, policy=default), max_characters)


def load_message(message: EmailMessage, max_characters: int) -> LoadedText:
    builder = TextBuilder(max_characters)
    for name in HEADERS:
        if value := _header(message, name):
            builder.add(f"{name}: {value}\n")
    builder.add("\n")
    body = _body(message, max_characters)
    builder.add_loaded(body)
    warnings = (*body.warnings, *_unread(message))
    return builder.build(_header(message, "Subject"), warnings=warnings)


def _header(message: EmailMessage, name: str) -> str:
    return clean(" ".join(str(message.get(name, "")).split()))[:_LONGEST_HEADER]


def _body(message: EmailMessage, max_characters: int) -> LoadedText:
    """The plain words; those of the HTML where there are no others."""
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        if part is None:
            continue
        payload = part.get_payload(decode=True)
        decoded = decode(
            payload if isinstance(payload, bytes) else b"", part.get_content_charset() or ""
        )
        if not decoded.text.strip():
            continue
        is_html = kind == "html"
        loaded = load_html(decoded.text, max_characters) if is_html else LoadedText(decoded.text)
        return replace(loaded, warnings=(*decoded.warnings, *loaded.warnings))
    return LoadedText("")


def _unread(message: EmailMessage) -> Iterator[str]:
    attached = message.iter_attachments()
    names = [clean(part.get_filename() or part.get_content_type()) for part in attached]
    if names:
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        yield f"Attachments, not read: {', '.join(names[:_MOST_NAMED])}{more}."
