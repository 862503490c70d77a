"""Finds marks, the texts where something else begins, in text that is still arriving."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from llm_api.core.llm.output.pattern import Pattern, skip_gap

Meaning = TypeVar("Meaning")


@dataclass(frozen=True, slots=True)
class Mark(Generic[Meaning]):
    """A text, and what begins with it."""

    pattern: Pattern
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Found(Generic[Meaning]):
    """A mark with the white space before it, `name` the function that it names.

    Without a mark, `start` is where one may still be beginning.
    """

    start: int
    end: int
    mark: Mark[Meaning] | None = None
    name: str = ""


class MarkFinder(Generic[Meaning]):
    """Looks for marks that may stand anywhere, and for others at the very beginning."""

    def __init__(self, anywhere: Sequence[Mark[Meaning]]) -> None:
        self._anywhere = tuple(anywhere)
        firsts = "".join(re.escape(mark.pattern.first) for mark in anywhere)
        self._spots = re.compile(rf"[ \t\r\n]{{0,32}}(?:[{firsts}]|\Z)" if anywhere else r"\Z")
        self._hint = re.compile(rf"[{firsts}]|[ \t\r\n]\Z" if anywhere else r"(?!)")

    def may_begin_in(self, text: str) -> bool:
        """Whether a mark, or the white space before one, may begin in this text. Pure."""
        return self._hint.search(text) is not None

    def search(
        self,
        text: str,
        names: Collection[str] = (),
        *,
        anchored: Sequence[Mark[Meaning]] = (),
        is_final: bool,
    ) -> Found[Meaning]:
        """The first mark in `text`, of which there is more to come unless `is_final`."""
        if anchored:
            found = self._match((*anchored, *self._anywhere), text, 0, names, is_final)
            if found is not None:
                return found
        for spot in self._spots.finditer(text):
            found = self._match(self._anywhere, text, spot.start(), names, is_final)
            if found is not None:
                return found
        return Found(len(text), len(text))

    def _match(
        self,
        marks: Sequence[Mark[Meaning]],
        text: str,
        start: int,
        names: Collection[str],
        is_final: bool,
    ) -> Found[Meaning] | None:
        position = skip_gap(text, start)
        may_come = False
        for mark in marks:
            match = mark.pattern.match(text, position, names)
            if match.is_whole:
                return Found(start, match.end, mark, match.name)
            may_come |= match.is_open
        return Found(start, start) if may_come and not is_final else None
