"""Which charset a file says that it is in, by what names charsets go, and wide ones. Pure."""

import codecs
import re
from typing import Final

from llm_api.core.rag.loaders.likely_charset import LIKELY

_DECLARABLE: Final = frozenset(
    re.findall(
        r"\S+",
        """cp1258 iso8859-1 iso8859-3 iso8859-4 iso8859-6 iso8859-8 iso8859-9 iso8859-10 iso8859-11
        iso8859-13 iso8859-14 iso8859-15 iso8859-16 tis-620 mac-latin2 mac-greek mac-turkish
        mac-iceland cp437 cp737 cp775 cp855 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp869
        koi8-t kz1048 ptcp154 gbk gb2312 hz big5 shift_jis shift_jis_2004 shift_jisx0213
        euc_jis_2004 euc_jisx0213 iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_3 iso2022_jp_ext
        iso2022_kr euc_kr johab ascii utf-8 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be
        utf-8-sig""",
    )
) | frozenset(LIKELY)
# Names that the web gives to what is really written under them.
_MEANT: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_HEAD_BYTES: Final = 4096
_IN_MARKUP: Final = re.compile(
    rb"<\?xml[^>]{0,200}?\sencoding\s*=\s*[\"']([\w.:-]{1,40})"
    rb"|<meta\s[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})",
    re.IGNORECASE,
)
_IN_COMMENT: Final = re.compile(rb"(?:.{0,200}\n)?[ \t]*#.{0,200}?coding[:=][ \t]*([\w.-]{1,40})")


def known_charset(label: str) -> str | None:
    """Python's codec for the charset of this name, None where it is not one of a text."""
    try:
        codec: str = codecs.lookup(label.strip().replace("windows-874", "cp874")).name
    except (LookupError, ValueError):  # a name with a NUL in it
        return None
    return _MEANT.get(codec, codec) if codec in _DECLARABLE else None


def declared_charset(data: bytes) -> str | None:
    """The charset that a file names within itself: HTML, XML, or the comment of a program."""
    head = data[:_HEAD_BYTES]
    is_markup = head.lstrip().startswith(b"<")
    found = _IN_MARKUP.search(head) if is_markup else _IN_COMMENT.match(head)
    if found is None:
        return None
    codec = known_charset(next(filter(None, found.groups())).decode("ascii", "replace"))
    # Bytes that could be read as ASCII so far are in no charset of wider units.
    return "utf-8" if codec and codec.startswith(("utf-16", "utf-32")) else codec


def wide_charset(data: bytes) -> str | None:
    """UTF-16 or UTF-32 by where their zeros stand, None for what is neither."""
    zeros = [data[place::4].count(0) * 4 / max(1, len(data)) for place in range(4)]
    if min(zeros[2:]) > 0.9 and zeros[0] < 0.5:
        return "utf-32-le"
    if min(zeros[:2]) > 0.9 and zeros[3] < 0.5:
        return "utf-32-be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if min(even, odd) * 4 > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
