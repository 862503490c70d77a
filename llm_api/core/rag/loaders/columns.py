"""Two columns of prose that were drawn line by line, taken apart. Pure.

Told by what prose in columns looks like, so that tables and single columns stay as they are: many
lines in a row leave the same strip free, both sides are filled to their ends, and on both sides
sentences go on from line to line. Does not cover: three columns, columns of unequal lines, scripts
without small letters.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_LEAST_LINES: Final = 5
_LEAST_WIDTH: Final = 8  # of a column, in heights of its letters
_LEAST_FILL: Final = 0.6
_FILLED: Final = 0.7
_GOING_ON: Final = 0.3
_SAME_LINE: Final = 0.5
_SENTENCE_END: Final = re.compile(r"[.!?:;]\W*$")


@dataclass(frozen=True, slots=True)
class Box:
    """Where some letters of one line stand; `y` grows upwards."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character, or the end of a line, and where it begins."""

    text: str
    x: float


@dataclass(frozen=True, slots=True)
class Strip:
    """What lies free between two columns."""

    left: float
    right: float


def gutter(boxes: Sequence[Box]) -> Strip | None:
    """The strip that most lines of the page leave free, with as much text on either side."""
    lines = [_joined(line) for line in _lines(boxes)]
    pairs = [line for line in lines if len(line) == 2]
    if len(pairs) < _LEAST_LINES or len(pairs) * 2 < len(lines):
        return None
    strip = Strip(max(left.right for left, _ in pairs), min(right.left for _, right in pairs))
    height = max(box.top - box.bottom for line in pairs for box in line)
    if strip.right - strip.left < height / 2:
        return None
    begin, end = min(left.left for left, _ in pairs), max(right.right for _, right in pairs)
    widths = (strip.left - begin, end - strip.right)
    if min(widths) < _LEAST_WIDTH * height:
        return None
    for side, width in enumerate(widths):
        filled = sum(line[side].right - line[side].left > _LEAST_FILL * width for line in pairs)
        if filled < _FILLED * len(pairs):
            return None
    return strip


def read_in_columns(glyphs: Sequence[Glyph], strip: Strip) -> str:
    """The text, each run of lines on both sides of the strip read left first.

    A run whose sentences do not go on from line to line stays as it is.
    """
    done: list[str] = []
    run: list[tuple[str, str]] = []
    for line in _text_lines(glyphs):
        sides = _sides(line, strip)
        if sides is None:
            done += _read(run)
            run = []
            done.append("".join(glyph.text for glyph in line).strip())
        else:
            run.append(sides)
    return "\n".join([*done, *_read(run)])


def _lines(boxes: Sequence[Box]) -> list[list[Box]]:
    lines: list[list[Box]] = []
    for box in boxes:
        before = lines[-1][-1] if lines else None
        height = box.top - box.bottom
        middle = (box.top + box.bottom) / 2
        if before and abs((before.top + before.bottom) / 2 - middle) < _SAME_LINE * height:
            lines[-1].append(box)
        else:
            lines.append([box])
    return lines


def _joined(line: Sequence[Box]) -> list[Box]:
    """The words of a line that follow closely, as one."""
    joined: list[Box] = []
    for box in sorted(line, key=lambda each: each.left):
        before = joined[-1] if joined else None
        if before and box.left - before.right < (box.top - box.bottom):
            bottom, top = min(before.bottom, box.bottom), max(before.top, box.top)
            joined[-1] = Box(before.left, bottom, max(before.right, box.right), top)
        else:
            joined.append(box)
    return joined


def _text_lines(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    lines: list[list[Glyph]] = [[]]
    for glyph in glyphs:
        if glyph.text in "\r\n":
            if lines[-1]:
                lines.append([])
        elif glyph.text.endswith("\n"):
            lines[-1].append(Glyph(glyph.text[:-1], glyph.x))
            lines.append([])
        else:
            lines[-1].append(glyph)
    return lines


def _sides(line: Sequence[Glyph], strip: Strip) -> tuple[str, str] | None:
    """The words left and right of the strip; None for a line that stands across it."""
    words = [glyph for glyph in line if not glyph.text.isspace()]
    if any(strip.left < glyph.x < strip.right - 1 for glyph in words):
        return None
    middle = (strip.left + strip.right) / 2
    left = "".join(glyph.text for glyph in line if glyph.x < middle)
    right = "".join(glyph.text for glyph in line if glyph.x >= middle)
    return left.strip(), right.strip()


def _read(run: Sequence[tuple[str, str]]) -> list[str]:
    columns = [[words for words in column if words] for column in zip(*run, strict=True)]
    if len(run) >= _LEAST_LINES and all(map(_goes_on, columns)):
        return [line for column in columns for line in _whole_words(column)]
    return [" ".join(filter(None, sides)) for sides in run]


def _goes_on(lines: Sequence[str]) -> bool:
    """Whether sentences of these lines go on in the next ones."""
    going = sum(
        below[0].islower() and not _SENTENCE_END.search(above) for above, below in pairwise(lines)
    )
    return going >= _GOING_ON * (len(lines) - 1) > 0


def _whole_words(lines: Sequence[str]) -> list[str]:
    """Lines without the hyphens that divide words between them."""
    whole: list[str] = []
    for line in lines:
        if whole and whole[-1].endswith("-") and line[0].islower():
            whole[-1] = whole[-1][:-1] + line
        else:
            whole.append(line)
    return whole
