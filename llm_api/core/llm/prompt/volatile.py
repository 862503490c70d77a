"""Lines of system prompts that change between requests, and would end every prefix kept before.

An agent writes the date, or a mark of the request, among thousands of tokens that stay the same.
Such a line says no less behind them. Pure.

Covers the system turns before all others, line by line. Does not cover lines in other turns, which
stand behind the prefix anyway, nor what changes within a line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from llm_api.core.llm.types import ChatPrompt, Message
from llm_api.core.utils.wildcards import fits

Place: TypeAlias = Literal["first", "last", "nowhere"]
"""Where a line goes: to the first turn of the user, to the last, or out of the prompt."""

_PREFIXES: Final[dict[str, Place]] = {">": "last", "-": "nowhere"}

LONGEST_SYSTEM: Final = 500_000
"""Characters of system turns that are looked through; longer ones stay as they are."""

LONGEST_LINE: Final = 200
"""Characters of a line that is moved; a longer one says more than a date."""


@dataclass(frozen=True, slots=True)
class VolatileLine:
    """Lines of one kind. `pattern` is in lower case; `piece` is its longest text without a `*`."""

    pattern: str
    place: Place
    piece: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A prompt with its volatile lines behind the stable ones; `found` are their patterns."""

    prompt: ChatPrompt
    found: tuple[str, ...] = ()


def volatile_lines(texts: Iterable[str]) -> tuple[VolatileLine, ...]:
    """The kinds of lines that a setting names, each as `pattern`, `>pattern` or `-pattern`."""
    return tuple(map(_volatile_line, texts))


def _volatile_line(text: str) -> VolatileLine:
    place = _PREFIXES.get(text[:1], "first")
    pattern = (text if place == "first" else text[1:]).strip().casefold()
    return VolatileLine(pattern, place, max(pattern.split("*"), key=len))


def settled(prompt: ChatPrompt, kinds: Sequence[VolatileLine]) -> Settled:
    """The prompt with its volatile lines moved or dropped; as it was where there are none.

    A line that has to be moved stays where no turn of the user could take it, and where it is all
    that the system says.
    """
    if not (leading := _leading_systems(prompt.messages)):
        return Settled(prompt)
    texts = [turn.content for turn in prompt.messages[:leading]]
    if sum(map(len, texts)) > LONGEST_SYSTEM:
        return Settled(prompt)
    whole = "\n".join(texts).casefold()
    kinds = [kind for kind in kinds if kind.piece in whole]
    users = [index for index, turn in enumerate(prompt.messages) if turn.role == "user"]
    kinds = kinds if users else [kind for kind in kinds if kind.place == "nowhere"]
    moved = _Moved()
    kept = [moved.without(text, kinds) for text in texts]
    if not any(map(str.strip, kept)):
        moved = _Moved()
        dropped = [kind for kind in kinds if kind.place == "nowhere"]
        kept = [moved.without(text, dropped) for text in texts]
    if not moved.found:
        return Settled(prompt)
    messages = [*prompt.messages]
    for index, text in enumerate(kept):
        messages[index] = replace(messages[index], content=text)
    if users:
        messages[users[0]] = _told(messages[users[0]], moved.first)
        messages[users[-1]] = _told(messages[users[-1]], moved.last)
    left = [turn for index, turn in enumerate(messages) if index >= leading or turn.content.strip()]
    return Settled(replace(prompt, messages=tuple(left)), tuple(dict.fromkeys(moved.found)))


class _Moved:
    """The lines that are taken out, by where they go."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self.last: list[str] = []
        self.found: list[str] = []

    def without(self, text: str, kinds: Sequence[VolatileLine]) -> str:
        """The text without lines of these kinds. Mutates."""
        kept = []
        for line in text.split("\n") if kinds else [text]:
            folded = line.strip().casefold()
            kind = next((kind for kind in kinds if fits(folded, kind.pattern)), None)
            if kind is None or len(folded) > LONGEST_LINE:
                kept.append(line)
                continue
            self.found.append(kind.pattern)
            if kind.place != "nowhere":
                (self.first if kind.place == "first" else self.last).append(line.strip())
        return "\n".join(kept)


def _leading_systems(messages: Sequence[Message]) -> int:
    return next(
        (index for index, turn in enumerate(messages) if turn.role != "system"), len(messages)
    )


def _told(turn: Message, lines: Sequence[str]) -> Message:
    if not lines:
        return turn
    return replace(turn, content="\n".join(lines) + f"\n\n{turn.content}")
