"""Formulas on one line, as people type them: `(a+b)/2`, `x^2`, `√(x)`. Pure.

The two markups differ in names alone: MathML in HTML, Office's own in DOCX.
"""

import re
from collections.abc import Sequence
from typing import Final

_ONE_THING: Final = re.compile(r"\w+|\S|\(.*\)|\[.*\]", re.DOTALL)


def group(words: str) -> str:
    """In brackets, unless it is one thing already."""
    return words if not words or _ONE_THING.fullmatch(words) else f"({words})"


def fraction(above: str, below: str) -> str:
    return f"{group(above)}/{group(below)}"


def script(base: str, below: str = "", above: str = "") -> str:
    """Indices and exponents, limits of sums, marks above and below."""
    low = f"_{group(below)}" if below else ""
    high = f"^{group(above)}" if above else ""
    return f"{base}{low}{high}"


def root(words: str, degree: str = "") -> str:
    return f"{degree}√({words})"


def matrix(rows: Sequence[str]) -> str:
    return f"[{'; '.join(rows)}]"
