"""Text to be found in an answer, in which white space may vary and a function's name is open.

One description serves both sides: the reader matches it against text that arrives in pieces, and
a grammar takes it as a regular expression.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias


class OpenPart(Enum):
    """A part of a call that differs from call to call."""

    NAME = auto()
    """The name of a known function."""
    ID = auto()
    """Nine letters and digits, by which the model tells its calls apart."""
    NUMBER = auto()
    """The position of the call among the model's calls."""


Part: TypeAlias = str | OpenPart

_LONGEST_GAP: Final = 32
"""Characters of white space that one gap may have: what is held back stays bounded."""

_LOOSE: Final = frozenset("{}[]():,=")
"""Beside these, white space means nothing, in JSON and in Python."""

_ENDS_NAME: Final = frozenset("\"'<>()[]{}:,=|`")

_SPACE: Final = frozenset(" \t\r\n")

_GAP_REGEX: Final = f"[ \\t\\r\\n]{{0,{_LONGEST_GAP}}}"


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """How far a pattern goes in a text.

    `end` is where it ends. `is_whole` says that this is all of the pattern, `is_open` that the
    text ended first: what follows decides.
    """

    end: int
    is_whole: bool = False
    is_open: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Item:
    """A character or an open part; with `may_gap`, white space may stand before it."""

    part: Part
    may_gap: bool


class Pattern:
    """Parts in their order. With `peek`, a character that must follow and is not part of it.

    White space may be missing, or be other white space, except at the very end.
    """

    def __init__(self, parts: Sequence[Part], peek: str = "") -> None:
        items = _items(parts)
        if peek:
            items.append(_Item(peek, may_gap=True))
        elif parts and isinstance(last := parts[-1], str) and last[-1:].isspace():
            items.append(_Item(last[-1], may_gap=False))
        self._items = tuple(items)
        self._peeks = bool(peek)

    @property
    def begins_with(self) -> str:
        """A character class for what may come first, for use in a regular expression."""
        item = self._items[0]
        space = " \\t\\r\\n" if item.may_gap else ""
        return f"[{space}{_regex(item.part, '')}]"

    @property
    def first(self) -> str:
        """The character that it begins with; empty where that is a function's name."""
        part = self._items[0].part if self._items else ""
        return part if isinstance(part, str) else ""

    def match(self, text: str, start: int, names: Collection[str]) -> PatternMatch:
        """How far `text` from `start` is as this pattern, in parts between white space. Pure."""
        position = end = start
        name = ""
        for number, item in enumerate(self._items):
            if item.may_gap:
                end = position
                position = skip_gap(text, position)
            if position == len(text):
                return PatternMatch(end, is_open=True)
            if isinstance(item.part, OpenPart):
                word = _word(text, position)
                if position + len(word) == len(text):
                    may_come = any(known.startswith(word) for known in names)
                    return PatternMatch(end, is_open=may_come or item.part is not OpenPart.NAME)
                if not word or (item.part is OpenPart.NAME and word not in names):
                    return PatternMatch(end)
                name = word if item.part is OpenPart.NAME else name
                position += len(word)
            elif text[position] == item.part:
                if self._peeks and number == len(self._items) - 1:
                    break
                position += 1
            else:
                return PatternMatch(end)
        return PatternMatch(position, is_whole=True, name=name)

    def regex(self, name: str) -> str:
        """A regular expression for it (Rust's syntax, for use between slashes), without peek."""
        items = self._items[:-1] if self._peeks else self._items
        return "".join(
            (_GAP_REGEX if item.may_gap else "") + _regex(item.part, name) for item in items
        )


def _items(parts: Sequence[Part]) -> list[_Item]:
    items: list[_Item] = []
    may_gap = False
    for part in parts:
        for piece in (part,) if isinstance(part, OpenPart) else part:
            if isinstance(piece, str) and piece.isspace():
                may_gap = True
                continue
            is_loose = piece in _LOOSE
            items.append(_Item(piece, may_gap or is_loose))
            may_gap = is_loose
    return items


def skip_gap(text: str, position: int) -> int:
    """Where the white space that may stand at `position` ends."""
    end = min(len(text), position + _LONGEST_GAP)
    while position < end and text[position] in _SPACE:
        position += 1
    return position


def _word(text: str, start: int) -> str:
    end = start
    while end < len(text) and not text[end].isspace() and text[end] not in _ENDS_NAME:
        end += 1
    return text[start:end]


def _regex(part: Part, name: str) -> str:
    match part:
        case OpenPart.ID:
            return "[A-Za-z0-9]{9}"
        case OpenPart.NUMBER:
            return "[0-9]{1,9}"
        case OpenPart.NAME:
            return escape(name)
        case str(character):
            return escape(character)


def escape(text: str) -> str:
    """`text` as a regular expression between slashes, verbatim."""
    return "".join(
        character
        if character.isalnum() or character in " _\"'`<>=:,;@%&~!"
        else f"\\x{{{ord(character):x}}}"
        for character in text
    )


def merge(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The same parts, with texts that stand side by side as one."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(last := merged[-1], str):
            merged[-1] = last + part
        elif part:
            merged.append(part)
    return tuple(merged)


def beginnings(texts: Sequence[str]) -> str:
    """A regular expression for every beginning of one of `texts`, the whole text included."""
    rests: dict[str, list[str]] = {}
    for text in filter(None, texts):
        rests.setdefault(text[0], []).append(text[1:])
    branches = (f"{escape(first)}{beginnings(rest)}" for first, rest in rests.items())
    return f"({'|'.join(branches)})?" if rests else ""
