"""Office's formulas (`m:oMath` of a DOCX) as a line of text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from llm_api.core.rag.loaders.formulas import fraction, matrix, root, script

_DEEPEST: Final = 64

Parts = Mapping[str, str]
"""What a formula is made of, by the name of the element that holds it."""


def office_formula(element: Element, depth: int = 0) -> str:
    """What a reader sees of this element. Deeper than 64 levels it is the words alone."""
    kind = _name(element)
    if kind == "t" or depth > _DEEPEST:
        return "".join(element.itertext())
    children = [child for child in element if not _name(child).endswith("Pr")]
    words = [office_formula(child, depth + 1) for child in children]
    if kind in _LISTED:
        return _LISTED[kind](words)
    if kind == "d":
        return _in_brackets(element, words)
    parts = dict(zip(map(_name, children), words, strict=True))
    if kind == "nary":
        sign = _sign(element, "naryPr", "chr", "∫")
        return script(sign, parts.get("sub", ""), _above(parts)) + parts.get("e", "")
    return _WRITTEN[kind](parts) if kind in _WRITTEN else "".join(words)


def _above(parts: Parts) -> str:
    return parts.get("sup", "")


_WRITTEN: Final[Mapping[str, Callable[[Parts], str]]] = {
    "f": lambda parts: fraction(parts.get("num", ""), parts.get("den", "")),
    "sSup": lambda parts: script(parts.get("e", ""), above=_above(parts)),
    "sSub": lambda parts: script(parts.get("e", ""), below=parts.get("sub", "")),
    "sSubSup": lambda parts: script(parts.get("e", ""), parts.get("sub", ""), _above(parts)),
    "sPre": lambda parts: script("", parts.get("sub", ""), _above(parts)) + parts.get("e", ""),
    "rad": lambda parts: root(parts.get("e", ""), parts.get("deg", "")),
    "limLow": lambda parts: script(parts.get("e", ""), below=parts.get("lim", "")),
    "limUpp": lambda parts: script(parts.get("e", ""), above=parts.get("lim", "")),
    "func": lambda parts: f"{parts.get('fName', '')} {parts.get('e', '')}".strip(),
}
_LISTED: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "mr": ", ".join,
    "m": matrix,
    "eqArr": "; ".join,
}


def _in_brackets(element: Element, words: Sequence[str]) -> str:
    opening = _sign(element, "dPr", "begChr", "(")
    return opening + ", ".join(words) + _sign(element, "dPr", "endChr", ")")


def _sign(element: Element, properties: str, name: str, usual: str) -> str:
    """The sign that the properties of an element name; an empty one means none."""
    for found in element.iterfind(f"{{*}}{properties}/{{*}}{name}"):
        return next(iter(found.attrib.values()), "")
    return usual


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
