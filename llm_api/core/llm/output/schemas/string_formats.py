"""The string formats of JSON Schema 2020-12 as patterns in Rust's syntax. Pure.

Covers every format of the specification but `ipv4` and `ipv6`, for which there is a library, and
`regex`, which no pattern can say. The international ones are wider than their RFCs: a label may
hold any character beyond ASCII. Does not cover: leap seconds, which are refused, and the length of
a host's name as a whole.
"""

from collections.abc import Mapping
from typing import Final

_DATE: Final = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
"""Days that there are: the 29th of February in leap years alone."""

_MINUTE: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME: Final = rf"{_MINUTE}:[0-5][0-9](?:\.[0-9]+)?(?:[zZ]|[+-]{_MINUTE})"

_DAYS: Final = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
_HOURS: Final = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"

_ALNUM: Final = "[A-Za-z0-9]"
_LABEL: Final = f"{_ALNUM}(?:[A-Za-z0-9-]{{0,61}}{_ALNUM})?"
_HOST: Final = rf"{_LABEL}(?:\.{_LABEL})*"
_WIDE_LABEL: Final = _LABEL.replace("A-Za-z0-9", r"A-Za-z0-9\x{80}-\x{10ffff}")
_WIDE_HOST: Final = rf"{_WIDE_LABEL}(?:\.{_WIDE_LABEL})*"

_ATOM: Final = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED: Final = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_LOCAL: Final = rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})"
_WIDE_LOCAL: Final = _LOCAL.replace("A-Za-z0-9!", r"A-Za-z0-9\x{80}-\x{10ffff}!")
_LITERAL: Final = r"\[[0-9A-Za-z:.-]+\]"

_HEX: Final = "%[0-9A-Fa-f]{2}"
_UNRESERVED: Final = r"A-Za-z0-9._~\-"
_OTHERS: Final = "!$&'()*+,;="
_POINTER: Final = "(?:/(?:[^/~]|~[01])*)*"
_VARIABLE: Final = rf"(?:\w|{_HEX})+(?:\.(?:\w|{_HEX})+)*(?::[1-9][0-9]{{0,3}}|\*)?".replace(
    r"\w", "[A-Za-z0-9_]"
)


def _references(unreserved: str) -> tuple[str, str]:
    """RFC 3986 for these characters: what begins with a scheme, and what need not."""

    def some(more: str, count: str) -> str:
        return f"(?:[{unreserved}{_OTHERS}{more}]|{_HEX}){count}"

    authority = rf"//(?:{some(':', '*')}@)?(?:\[[0-9A-Fa-fv:.]+\]|{some('', '*')})(?::[0-9]*)?"
    rest = f"(?:/{some(':@', '*')})*"
    rooted = f"{authority}{rest}|/(?:{some(':@', '+')}{rest})?"
    tail = rf"(?:\?{some('/?:@', '*')})?(?:#{some('/?:@', '*')})?"
    absolute = f"[A-Za-z][A-Za-z0-9+.-]*:(?:{rooted}|{some(':@', '+')}{rest}|){tail}"
    relative = f"(?:{rooted}|{some('@', '+')}{rest}|){tail}"
    return absolute, f"(?:{absolute}|{relative})"


_URI, _URI_REFERENCE = _references(_UNRESERVED)
_IRI, _IRI_REFERENCE = _references(rf"{_UNRESERVED}\x{{a0}}-\x{{10ffff}}")

PATTERNS: Final[Mapping[str, str]] = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}[tT]{_TIME}",
    "duration": f"P(?:[0-9]+W|{_DAYS}(?:{_HOURS})?|{_HOURS})",
    "email": f"{_LOCAL}@(?:{_HOST}|{_LITERAL})",
    "idn-email": f"{_WIDE_LOCAL}@(?:{_WIDE_HOST}|{_LITERAL})",
    "hostname": _HOST,
    "idn-hostname": _WIDE_HOST,
    "uri": _URI,
    "uri-reference": _URI_REFERENCE,
    "iri": _IRI,
    "iri-reference": _IRI_REFERENCE,
    "uri-template": (
        rf"(?:[^\x00-\x20\x22%<>\\^`{{|}}]|{_HEX}"
        rf"|\{{[+#./;?&]?{_VARIABLE}(?:,{_VARIABLE})*\}})*"
    ),
    "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "json-pointer": _POINTER,
    "relative-json-pointer": f"(?:0|[1-9][0-9]*)(?:[+-][1-9][0-9]*)?(?:#|{_POINTER})",
}
"""Each matches a text as a whole."""
