"""MathML inside HTML as a line of text."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from selectolax.lexbor import LexborNode

from llm_api.core.rag.loaders.formulas import fraction, matrix, root, script

_DEEPEST: Final = 64
_WRITTEN: Final[Mapping[tuple[str, int], Callable[[list[str]], str]]] = {
    ("mfrac", 2): lambda parts: fraction(*parts),
    ("msup", 2): lambda parts: script(parts[0], above=parts[1]),
    ("mover", 2): lambda parts: script(parts[0], above=parts[1]),
    ("msub", 2): lambda parts: script(parts[0], below=parts[1]),
    ("munder", 2): lambda parts: script(parts[0], below=parts[1]),
    ("msubsup", 3): lambda parts: script(*parts),
    ("munderover", 3): lambda parts: script(*parts),
    ("mroot", 2): lambda parts: root(*parts),
}
_LISTED: Final[Mapping[str, Callable[[list[str]], str]]] = {
    "msqrt": lambda parts: root("".join(parts)),
    "mtr": ", ".join,
    "mtable": matrix,
}
_OTHER_NOTATIONS: Final = ("annotation", "annotation-xml")


def formula(node: LexborNode, depth: int = 0) -> str:
    """What a reader sees of this element. Deeper than 64 levels it is the words alone."""
    if node.tag == "-text":
        return "".join((node.text_content or "").split())
    if depth > _DEEPEST:
        return "".join(node.text(deep=True).split())
    if node.tag == "mtext":
        return " ".join(node.text(deep=True).split())
    parts = [formula(child, depth + 1) for child in _children(node)]
    write = _WRITTEN.get((node.tag or "", len(parts))) or _LISTED.get(node.tag or "", "".join)
    return write(parts)


def _children(node: LexborNode) -> Iterator[LexborNode]:
    """Elements, and the text between them that is not white space alone."""
    child = node.first_child
    while child is not None:
        tag = child.tag or ""
        is_blank = tag == "-text" and not (child.text_content or "").strip()
        if not is_blank and tag not in _OTHER_NOTATIONS and (tag == "-text" or tag[0] != "-"):
            yield child
        child = child.next
