"""Formulas of HTML (MathML) and DOCX (`m:oMath`) on one line: `(a+b)/2`, `x^2`, `√(x)`. Pure.

The two markups differ in the names of their elements alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from selectolax.lexbor import LexborNode

_ONE_THING: Final = re.compile(r"\w+|\S|\(.*\)|\[.*\]", re.DOTALL)


def _group(words: str) -> str:
    """In brackets, unless it is one thing already."""
    return words if not words or _ONE_THING.fullmatch(words) else f"({words})"


def _fraction(above: str, below: str) -> str:
    return f"{_group(above)}/{_group(below)}"


def _script(base: str, below: str = "", above: str = "") -> str:
    """Indices and exponents, limits of sums, marks above and below."""
    low = f"_{_group(below)}" if below else ""
    high = f"^{_group(above)}" if above else ""
    return f"{base}{low}{high}"


def _root(words: str, degree: str = "") -> str:
    return f"{degree}√({words})"


def _matrix(rows: Sequence[str]) -> str:
    return f"[{'; '.join(rows)}]"


_DEEPEST: Final = 64
_MATHML: Final[Mapping[tuple[str, int], Callable[[list[str]], str]]] = {
    ("mfrac", 2): lambda parts: _fraction(*parts),
    ("msup", 2): lambda parts: _script(parts[0], above=parts[1]),
    ("mover", 2): lambda parts: _script(parts[0], above=parts[1]),
    ("msub", 2): lambda parts: _script(parts[0], below=parts[1]),
    ("munder", 2): lambda parts: _script(parts[0], below=parts[1]),
    ("msubsup", 3): lambda parts: _script(*parts),
    ("munderover", 3): lambda parts: _script(*parts),
    ("mroot", 2): lambda parts: _root(*parts),
}
_MATHML_LISTS: Final[Mapping[str, Callable[[list[str]], str]]] = {
    "msqrt": lambda parts: _root("".join(parts)),
    "mtr": ", ".join,
    "mtable": _matrix,
}
_OTHER_NOTATIONS: Final = ("annotation", "annotation-xml")


def mathml_formula(node: LexborNode, depth: int = 0) -> str:
    """What a reader sees of this element. Deeper than 64 levels it is the words alone."""
    if node.tag == "-text":
        return "".join((node.text_content or "").split())
    if depth > _DEEPEST:
        return "".join(node.text(deep=True).split())
    if node.tag == "mtext":
        return " ".join(node.text(deep=True).split())
    parts = [mathml_formula(child, depth + 1) for child in _mathml_children(node)]
    write = _MATHML.get((node.tag or "", len(parts))) or _MATHML_LISTS.get(node.tag or "", "".join)
    return write(parts)


def _mathml_children(node: LexborNode) -> Iterator[LexborNode]:
    """Elements, and the text between them that is not white space alone."""
    child = node.first_child
    while child is not None:
        tag = child.tag or ""
        is_blank = tag == "-text" and not (child.text_content or "").strip()
        if not is_blank and tag not in _OTHER_NOTATIONS and (tag == "-text" or tag[0] != "-"):
            yield child
        child = child.next


Parts = Mapping[str, str]
"""What a formula is made of, by the name of the element that holds it."""


def office_formula(element: Element, depth: int = 0) -> str:
    """What a reader sees of this element. Deeper than 64 levels it is the words alone."""
    kind = _name(element)
    if kind == "t" or depth > _DEEPEST:
        return "".join(element.itertext())
    children = [child for child in element if not _name(child).endswith("Pr")]
    words = [office_formula(child, depth + 1) for child in children]
    if kind in _OFFICE_LISTS:
        return _OFFICE_LISTS[kind](words)
    if kind == "d":
        return _in_brackets(element, words)
    parts = dict(zip(map(_name, children), words, strict=True))
    if kind == "nary":
        sign = _sign(element, "naryPr", "chr", "∫")
        return _script(sign, parts.get("sub", ""), _above(parts)) + parts.get("e", "")
    return _OFFICE[kind](parts) if kind in _OFFICE else "".join(words)


def _above(parts: Parts) -> str:
    return parts.get("sup", "")


_OFFICE: Final[Mapping[str, Callable[[Parts], str]]] = {
    "f": lambda parts: _fraction(parts.get("num", ""), parts.get("den", "")),
    "sSup": lambda parts: _script(parts.get("e", ""), above=_above(parts)),
    "sSub": lambda parts: _script(parts.get("e", ""), below=parts.get("sub", "")),
    "sSubSup": lambda parts: _script(parts.get("e", ""), parts.get("sub", ""), _above(parts)),
    "sPre": lambda parts: _script("", parts.get("sub", ""), _above(parts)) + parts.get("e", ""),
    "rad": lambda parts: _root(parts.get("e", ""), parts.get("deg", "")),
    "limLow": lambda parts: _script(parts.get("e", ""), below=parts.get("lim", "")),
    "limUpp": lambda parts: _script(parts.get("e", ""), above=parts.get("lim", "")),
    "func": lambda parts: f"{parts.get('fName', '')} {parts.get('e', '')}".strip(),
}
_OFFICE_LISTS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "mr": ", ".join,
    "m": _matrix,
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
