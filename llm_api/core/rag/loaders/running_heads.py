"""Lines that stand at the edge of page after page: kept once, so that sentences go on. Pure.

Numbers in them may differ. Covers: one or two lines above and below. Does not cover: heads that
differ on left and right pages, or by chapter, for fewer than three pages.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from llm_api.core.rag.loaders.page_layout import Line

_LEAST_PAGES: Final = 3
_EDGE_LINES: Final = 2
_LONGEST: Final = 150
_PAGE_NUMBER: Final = "0"
_NUMBER: Final = re.compile(r"\d+|\b[ivxlc]{1,7}\b")


def without_running_heads(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The pages; of a line that half of them begin or end with, the first is kept."""
    kept = [list(page) for page in pages]
    for edge in (0, -1):
        for _ in range(_EDGE_LINES):
            _drop(kept, edge)
    return kept


def _drop(pages: Sequence[list[Line]], edge: int) -> None:
    """Take the lines that repeat off this edge of the pages."""
    forms = [_form(page[edge]) if len(page) > 1 else "" for page in pages]
    least = max(_LEAST_PAGES, sum(map(bool, pages)) / 2)
    often = {form for form, count in Counter(forms).items() if form and count >= least}
    seen: set[str] = set()
    for page, form in zip(pages, forms, strict=True):
        if form in often:
            if form in seen or form == _PAGE_NUMBER:
                page.pop(edge)
            seen.add(form)


def _form(line: Line) -> str:
    """What repeats of a line; empty for one of a table, or too long for a head."""
    if line.header or len(line.text) > _LONGEST:
        return ""
    return _NUMBER.sub("0", line.text.strip())
