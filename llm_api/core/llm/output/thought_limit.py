"""Ends a thought that is long enough, so that room is left for the answer. Tokens, and their bytes.

```
            opening            closing, or forced
  beginning ───────► thought ────────────┐
      │ anything else                    ▼
      └───────────────► over        beginning
```
A model may think again behind a thought; all of its thoughts together have the one limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from llm_api.core.llm.output.reasoning import ReasoningMarks, Thinking

ANSWER_SHARE: Final = 4
MOST_ANSWER_TOKENS: Final = 1024
"""A quarter of what there is room for is left to the answer, so many tokens at most."""


@dataclass(frozen=True, slots=True)
class Thought:
    """How a model thinks in one answer: its marks, and what the prompt says of the beginning.

    `closing` are the tokens of the mark that ends a thought.
    """

    marks: ReasoningMarks
    thinking: Thinking
    closing: tuple[int, ...]


def thought_tokens(thought: Thought, budget: int | None, room: int) -> int:
    """How many tokens may be thought in an answer of at most `room`. Pure."""
    answer = max(1, min(room // ANSWER_SHARE, MOST_ANSWER_TOKENS))
    most = max(0, room - answer - len(thought.closing))
    return most if budget is None else min(budget, most)


class ThoughtLimit:
    """Follows one answer to the end of its thoughts, token by token."""

    def __init__(self, thought: Thought, tokens: int, render: Callable[[int], bytes]) -> None:
        """`render` gives the bytes that a token adds to the text, marks included."""
        self._closing = thought.closing
        self._opening_text = thought.marks.opening.encode()
        self._closing_text = thought.marks.closing.encode()
        self._left = tokens
        self._render = render
        self._is_thinking = thought.thinking is Thinking.OPEN
        self._is_over = False
        self._seen = b""

    def accept(self, token: int) -> Sequence[int]:
        """Go on behind a token. Returns those that must follow it: they have been taken in."""
        if self._is_over:
            return ()
        self._seen += self._render(token)
        self._left -= self._is_thinking
        self._read()
        if not self._is_thinking or self._left > 0 or _is_cut(self._seen):
            return ()
        self._is_thinking, self._seen = False, b""
        return self._closing

    def _read(self) -> None:
        """Find out where the text that was seen ends."""
        if self._is_thinking:
            _, closing, behind = self._seen.partition(self._closing_text)
            if not closing:
                self._seen = self._seen[-len(self._closing_text) :]
                return
            self._is_thinking, self._seen = False, behind
        begun = self._seen.lstrip()
        if begun.startswith(self._opening_text):
            self._is_thinking, self._seen = True, begun[len(self._opening_text) :]
        else:
            self._is_over = not self._opening_text.startswith(begun)


def _is_cut(data: bytes) -> bool:
    """Whether the bytes end within a character of UTF-8. Pure."""
    for back, byte in enumerate(reversed(data[-3:]), start=1):
        if byte < 0x80:
            return False
        if byte >= 0xC0:
            return back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
    return False
