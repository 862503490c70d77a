"""Text of users that looks like a control token is carried around the template.

A placeholder stands for it while the template runs, and it comes out as a literal segment, which is
never parsed for control tokens. So does the beginning of such a text at the end of a message, which
the next one might complete.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from llm_api.core.llm.types import JSON

# Private-use characters around a number; a message that holds the first one has it carried, too.
_OPEN, _CLOSE = "\ue000", "\ue001"
_PLACEHOLDER: Final = re.compile(f"{_OPEN}([0-9]{{1,9}}){_CLOSE}")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the rendered prompt. In a literal one, control tokens are plain text."""

    text: str
    is_literal: bool


class ControlTexts:
    """The texts of a vocabulary's control tokens. Looks through a message once, however many."""

    def __init__(self, texts: Iterable[str]) -> None:
        known = {text for text in texts if text}
        self.pattern = _any_of(known | {_OPEN})
        self.beginnings = frozenset(
            text[:length] for text in known for length in range(1, len(text))
        )
        self.longest_beginning = max(map(len, self.beginnings), default=0)


class Carrier:
    """Carries the texts of one prompt."""

    def __init__(self, control: ControlTexts) -> None:
        self._control = control
        self._carried: list[str] = []

    def protect(self, value: JSON) -> JSON:
        """The same value with placeholders in its texts, and in the names of its fields."""
        match value:
            case str():
                return self._protect_text(value)
            case list():
                return [self.protect(item) for item in value]
            case dict():
                return {
                    self._protect_text(name): self.protect(item) for name, item in value.items()
                }
            case _:
                return value

    def segments(self, text: str) -> Iterator[Segment]:
        """Split the rendered text at its placeholders; none is empty.

        Raises ValueError for a placeholder that stands for nothing: the template made it.
        """
        for position, part in enumerate(_PLACEHOLDER.split(text)):
            is_literal = position % 2 == 1
            if is_literal and int(part) >= len(self._carried):
                raise ValueError("it changes what users wrote")
            if words := self._carried[int(part)] if is_literal else part:
                yield Segment(words, is_literal)

    def _protect_text(self, text: str) -> str:
        text = self._control.pattern.sub(lambda found: self._carry(found.group()), text)
        for length in range(min(self._control.longest_beginning, len(text)), 0, -1):
            if text[-length:] in self._control.beginnings:
                return text[:-length] + self._carry(text[-length:])
        return text

    def _carry(self, literal: str) -> str:
        self._carried.append(literal)
        return f"{_OPEN}{len(self._carried) - 1}{_CLOSE}"


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Finds the longest of the texts at each place, which costs one look however many they are."""
    trie: _Trie = {}
    for text in texts:
        node = trie
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    return re.compile(_alternatives(trie))


_Trie: TypeAlias = dict[str, "_Trie"]
"""Next characters, and what follows each; an empty one where a text ends."""


def _alternatives(trie: _Trie) -> str:
    written = [_branch(character, rest) for character, rest in trie.items() if character]
    if not written:
        return ""
    return f"(?:{'|'.join(written)}){'?' if '' in trie else ''}"


def _branch(character: str, rest: _Trie) -> str:
    """One way on; characters without a choice between them stand in a row."""
    row = [character]
    while len(rest) == 1 and "" not in rest:
        [(following, rest)] = rest.items()
        row.append(following)
    return re.escape("".join(row)) + _alternatives(rest)
