"""Bytes to text: in which charset, and without what no text may hold.

The one door of charset_normalizer.
"""

import codecs
import re

from llm_api.core.errors import UnreadableFileError

_BYTE_ORDER_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 64 * 1024

_NEWLINE = re.compile(r"\r\n|[\r\f\v\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    r"""The text with every line ended by `\n`, without control characters. Pure.

    Nothing else changes: who quotes from it quotes the author's own characters.
    """
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", _NEWLINE.sub("\n", text)))


def decode(data: bytes) -> str:
    """The text of a file in whatever charset it is, clean.

    Raises `UnreadableFileError` for bytes that are no text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return clean(data.decode(encoding, errors="replace"))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode(_guess(data), errors="replace")
    else:
        if "\0" in text[:_SAMPLE_BYTES]:  # UTF-16 of plain English is valid UTF-8
            text = data.decode(_guess(data), errors="replace")
    if _is_binary(text[:_SAMPLE_BYTES]):
        raise UnreadableFileError("it is binary, not text")
    return clean(text)


def _guess(data: bytes) -> str:
    """Raises `UnreadableFileError` where no charset makes sense of the bytes."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only what is not UTF-8 needs it

    best = from_bytes(data[:_SAMPLE_BYTES]).best()
    if best is None:
        raise UnreadableFileError("it is binary, or in a charset that is not known")
    # Single bytes are valid in any such charset: without a language to tell by, the most common.
    is_sure = best.coherence > 0 or best.multi_byte_usage > 0
    return best.encoding if is_sure else "cp1252"


def _is_binary(sample: str) -> bool:
    return len(_CONTROL.findall(sample)) * 100 > len(sample)
