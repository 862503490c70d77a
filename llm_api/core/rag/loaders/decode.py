"""Bytes to text: in which charset, and without what no text may hold."""

import codecs
import re
from dataclasses import dataclass

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.charsets import (
    declared_charset,
    known_charset,
    wide_charset,
)
from llm_api.core.rag.loaders.likely_charset import likely_charset

_BYTE_ORDER_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD_BYTES = 64 * 1024
_SAMPLE_BYTES = 8 * 1024
_LINES_READ = 4 * 1024 * 1024

_NEWLINE = re.compile(r"\r\n|[\r\f\v\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_FOREIGN = re.compile(rb"[^\n]{0,400}[\x80-\xff][^\n]{0,400}\n?")
_ESCAPED_JAPANESE = re.compile(rb"\x1b\$[@B]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and in sentences what of its bytes could not be read."""

    text: str
    warnings: tuple[str, ...] = ()


def clean(text: str) -> str:
    r"""The text with every line ended by `\n`, without control characters. Pure.

    Nothing else changes: who quotes from it quotes the author's own characters.
    """
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", _NEWLINE.sub("\n", text)))


def decode(data: bytes, declared: str = "") -> Decoded:
    """The text of a file in whatever charset it is, clean.

    A byte order mark says which. Then what was `declared` beside the file, and what the file says
    itself, where its bytes can be in that charset. Then UTF-8, and then the likeliest.

    Raises `UnreadableFileError` for bytes that are no text.
    """
    warnings: list[str] = []
    text, charset = _marked(data) or _declared(data, declared, warnings) or _undeclared(data)
    if _is_binary(text[:_HEAD_BYTES]):
        raise UnreadableFileError("it is binary, not text")
    if lost := text.count("\ufffd") - data.count("\ufffd".encode()):
        warnings.append(
            f"{lost:,} character{'s are' if lost > 1 else ' is'} not valid in {charset}, and stand"
            f"{'' if lost > 1 else 's'} as \ufffd."
        )
    return Decoded(clean(text), tuple(warnings))


def _marked(data: bytes) -> tuple[str, str] | None:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), encoding
    return None


def _declared(data: bytes, beside: str, warnings: list[str]) -> tuple[str, str] | None:
    """The text in a declared charset. One that its bytes cannot be in is warned of."""
    within = declared_charset(data)
    for label, codec in ((beside, known_charset(beside)), (within, within)):
        if label and codec is None:
            warnings.append(f"The declared charset {label[:40]!r} is not known.")
        elif label and codec:
            if (text := _in_charset(data, codec)) is not None:
                return text, codec
            warnings.append(f"It is declared as {label[:40]!r}, which it is not.")
    return None


def _in_charset(data: bytes, codec: str) -> str | None:
    """The text, where at most one in a hundred of its foreign characters is damaged."""
    text = data.decode(codec, errors="replace")
    damaged = text.count("\ufffd")
    if not damaged:
        return text
    foreign = sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))
    return text if damaged * 100 <= foreign else None


def _undeclared(data: bytes) -> tuple[str, str]:
    """Raises `UnreadableFileError` where no charset makes sense of the bytes."""
    charset = _likely(data)
    if charset is None:
        raise UnreadableFileError("it is binary, or in a charset that is not known")
    return data.decode(charset, errors="replace"), charset


def _likely(data: bytes) -> str | None:
    if b"\0" in data[:_HEAD_BYTES]:  # UTF-16 of plain English is valid UTF-8
        return wide_charset(data[:_HEAD_BYTES])
    if _ESCAPED_JAPANESE.search(data, 0, _HEAD_BYTES) and data.isascii():
        return "iso2022_jp"
    if _in_charset(data, "utf-8") is not None:  # one damaged byte makes it nothing else
        return "utf-8"
    return likely_charset(_sample(data))


def _sample(data: bytes) -> bytes:
    """Lines that are not ASCII: only these tell one charset from another."""
    sample = bytearray()
    first = next((place.start() for place in re.finditer(rb"[\x80-\xff]", data)), 0)
    start = max(data.rfind(b"\n", 0, first), first - 400, 0)
    for found in _FOREIGN.finditer(data, start, start + _LINES_READ):
        sample += found.group()
        if len(sample) >= _SAMPLE_BYTES:
            break
    return bytes(sample)


def _is_binary(sample: str) -> bool:
    return len(_CONTROL.findall(sample)) * 100 > len(sample)
