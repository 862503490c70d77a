"""The tree of an HTML page: walked without recursion, and which of its tables hold data. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from selectolax.lexbor import LexborNode

_LAYOUT_ROLES: Final = ("presentation", "none")
_HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")


def walk(
    root: LexborNode,
    enter: Callable[[LexborNode, str], bool],
    leave: Callable[[LexborNode, str], None],
) -> None:
    """Every node in order of the document, however deep they nest.

    `enter` says whether to look inside a node; only such a node is left.
    """
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, was_entered = stack.pop()
        tag = node.tag or ""
        if was_entered:
            leave(node, tag)
            continue
        if stack and node.next is not None:  # the root's neighbours are none of the page
            stack.append((node.next, False))
        if enter(node, tag):
            stack.append((node, True))
            if node.first_child is not None:
                stack.append((node.first_child, False))


@dataclass(slots=True)
class _Shape:
    """What is seen of a table until it ends."""

    id: int
    is_layout: bool = False
    holds_table: bool = False
    holds_heading: bool = False
    has_names: bool = False
    cells: int = 0
    widest: int = 0

    @property
    def is_data(self) -> bool:
        if self.is_layout or self.widest < 2:
            return False
        return self.has_names or not (self.holds_table or self.holds_heading)


def data_tables(root: LexborNode) -> frozenset[int]:
    """The `mem_id` of each table whose rows are records; all others only place things on a page.

    These have one column, or other tables or headings inside and no names of columns.
    """
    open_tables: list[_Shape] = []
    found: set[int] = set()

    def enter(node: LexborNode, tag: str) -> bool:
        if tag == "table":
            if open_tables:
                open_tables[-1].holds_table = True
            role = node.attributes.get("role")
            open_tables.append(_Shape(node.mem_id, role in _LAYOUT_ROLES))
        elif open_tables:
            _note(open_tables[-1], tag)
        return tag == "-document" or not tag.startswith("-")

    def leave(_: LexborNode, tag: str) -> None:
        if tag == "table" and (table := open_tables.pop()).is_data:
            found.add(table.id)

    walk(root, enter, leave)
    return frozenset(found)


def _note(table: _Shape, tag: str) -> None:
    if tag == "tr":
        table.cells = 0
    elif tag in ("td", "th"):
        table.cells += 1
        table.widest = max(table.widest, table.cells)
        table.has_names = table.has_names or tag == "th"
    elif tag in _HEADINGS:
        table.holds_heading = True
