"""Which charset bytes are most likely in, where nothing says it. Pure.

Each charset makes a text of them. In a wrong one words look as no words do: capitals and signs
stand inside, two scripts mix. Several that are left are told apart by how often their letters
come in a language, where the text is long enough. Otherwise it is the common one.

Covers: Western and Central European, Cyrillic, Greek, Japanese, Chinese, Korean, Thai. Does not
cover: Hebrew, which reads as lower-case Cyrillic; Turkish, which reads as Baltic; a few characters
of Chinese or Japanese alone. Those have to be declared. The one door of charset_normalizer.
"""

# ruff: noqa: RUF001 - signs of other scripts are what this is about

import codecs
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from unicodedata import category, name

# In order of what is likelier where nothing tells two of them apart.
LIKELY: Final[list[str]] = re.findall(
    r"\S+",
    """cp1252 cp1250 cp1251 koi8-r cp1254 cp1253 iso8859-2 cp932 euc_jp cp949 gb18030 big5hkscs
    cp1257 koi8-u iso8859-7 cp1255 cp1256 cp874 cp850 cp437 cp866 mac-roman cp852 iso8859-5
    mac-cyrillic""",
)
_PROOF_BYTES: Final = 16


def likely_charset(sample: bytes) -> str | None:
    """The charset in which the sample reads best, the common one where several read as well.

    Blocks for some 50 ms. None where it reads well in no charset at all.
    """
    faults = {codec: _faults(sample, codec) for codec in LIKELY}
    least = min(faults.values())
    foreign = sum(byte > 127 for byte in sample)
    if least * 2 > foreign:
        return None
    best = [codec for codec in LIKELY if faults[codec] <= least + foreign // 50]
    if len(best) == 1:
        return best[0]
    is_provable = best[0] != LIKELY[0] or foreign >= _PROOF_BYTES
    proven = _by_language(sample, best) if is_provable else None
    return proven or min(best, key=lambda codec: faults[codec])


def _by_language(sample: bytes, among: Sequence[str]) -> str | None:
    """The one whose letters are as frequent as in some language; None if the text is too short."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - few files need it

    found = from_bytes(sample, cp_isolation=list(among)).best()
    if found is None or not found.coherence:
        return None
    same = codecs.lookup(found.encoding)
    return next((codec for codec in among if codecs.lookup(codec).name == same.name), None)


_FAULTS: Final = re.compile(
    "a[EC]|[ec][AEC]|[AE]E(?=[ae])|EA(?=a)|CC(?=c)"  # a capital inside a word
    "|[aAeE][cCghrtHko]|[cCghrtHko][aAeE]|[cC][ghrtHko]|[gh][rtHko]"  # two scripts in a word
    "|[aAeEcCg][sp](?=[aAeEcCg])|[eE]s|s[eE]|ss|sp|ps"  # signs inside a word, or in a row
    "|m(?=m)|(?<![hrtm])m"  # marks that stand on no letter
    "|[eE](?=[eE][eE])"  # no word of the West has three such letters in a row
    "|x|y"
)
_SEVERE: Final = 4


def _faults(sample: bytes, codec: str) -> int:
    """How often the sample looks like no text of this charset."""
    text = sample.decode(codec, errors="replace")
    classes = "".join(map(_class_of, text))
    severe = classes.count("x")
    return len(_FAULTS.findall(classes)) + _SEVERE * severe + _uncommon(text, codec)


_UNCOMMON: Final = {
    "gb18030": re.compile(r"[\u3040-\u30ff]"),
    "cp932": re.compile(r"[\uff61-\uff9f]"),
    "euc_jp": re.compile(r"[\uff61-\uff9f]"),
    "cp949": re.compile(r"[\u4e00-\u9fff\u3040-\u30ff]"),
}
_KANA: Final = re.compile(r"[\u3040-\u30ff]")
_COMMON_LEADS: Final = {
    "gb18030": range(0xA1, 0xD8),
    "big5hkscs": range(0xA1, 0xC7),
    "cp932": range(0x81, 0x98),
    "euc_jp": range(0x8E, 0xD0),
    "cp949": range(0xA1, 0xC9),
}


def _uncommon(text: str, codec: str) -> int:
    """Characters of a double-byte charset that few texts use, most of all those set wrong."""
    leads = _COMMON_LEADS.get(codec)
    if leads is None:
        return 0
    rare = 0
    for character in filter(_is_wide, text):
        lead = character.encode(codec, errors="replace")
        trail = lead[1] if len(lead) > 1 else 0x41
        wrong = lead[0] not in leads or len(lead) > 2
        rare += wrong or (codec in ("gb18030", "cp949") and trail < 0xA1)
    pattern = _UNCOMMON.get(codec)
    kanji_alone = codec in ("cp932", "euc_jp") and not _KANA.search(text)
    return rare + kanji_alone + (len(pattern.findall(text)) if pattern else 0)


def _is_wide(character: str) -> bool:
    return "\u2e80" <= character < "\ufffd"


@lru_cache(maxsize=4096)
def _class_of(character: str) -> str:
    """One letter for what kind of character this is, as `_FAULTS` names them."""
    kind = category(character)
    if character == "\ufffd" or kind in ("Cc", "Cn", "Co", "Cs"):
        return " " if character in "\t\n\r\f\v" else "x"
    if character.isascii():
        return ("A" if character.isupper() else "a") if character.isalpha() else "."
    if kind[0] == "M":
        return "m"
    if kind[0] == "L":
        return _letter(character)
    if character in "’·\u00ad\u00a0":
        return "."
    return "s" if kind[0] in "SNC" else "p"


_SCRIPTS: Final = {
    "GREEK": "g",
    "HEBREW": "h",
    "ARABIC": "r",
    "THAI": "t",
    "CJK": "H",
    "HIRAGANA": "k",
    "KATAKANA": "k",
    "KATAKANA-HIRAGANA": "k",
    "HANGUL": "o",
}


def _letter(character: str) -> str:
    script = name(character, "").partition(" ")[0]
    if script == "CYRILLIC":
        return "C" if character.isupper() else "c"
    if script in ("LATIN", "FEMININE", "MASCULINE", "MICRO", "MODIFIER"):
        return "E" if character.isupper() else "e"
    return _SCRIPTS.get(script, "y")
