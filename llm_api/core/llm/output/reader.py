"""The one state machine that takes an answer's text apart: thoughts, calls, and text.

```
            opening           closing
        ┌──────────► thought ─────────┐
        │                             ▼
      text ◄──────────────────────── text
        │ head of a call              ▲
        └──────► arguments ──► tail ──┘
```
What may still become a mark is held back; what did not become one comes out unchanged. White
space around thoughts and calls belongs to them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from llm_api.core.llm.output.arguments import ArgumentReader
from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.marks import Found, Mark, MarkFinder
from llm_api.core.llm.output.pattern import Part, Pattern, skip_gap
from llm_api.core.llm.output.reasoning import ReasoningMarks, Thinking
from llm_api.core.llm.output.schemas.tool_schema import argument_schema
from llm_api.core.llm.types import ReasoningDelta, ToolCallDelta, ToolCallStarted, ToolSpec


@dataclass(frozen=True, slots=True)
class Visible:
    """Text for the user: verbatim what stands from character `start` of the answer."""

    start: int
    text: str


Piece: TypeAlias = Visible | ReasoningDelta | ToolCallStarted | ToolCallDelta


class _Place(Enum):
    """Where the unread text begins, as far as that decides what it can mean."""

    BEGINNING = auto()
    AFTER_THOUGHT = auto()
    AFTER_CALL = auto()
    MIDDLE = auto()


class _Silent(Enum):
    """What marks mean that stand for themselves."""

    OPENING = auto()
    CLOSING = auto()


_Meaning: TypeAlias = CallFormat | ReasoningMarks | _Silent
"""What begins with a mark: a call, a thought, something new, or what is left behind the calls."""


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What one answer may hold: thoughts, and calls to `tools` in the model's own `formats`.

    `strays` are formats in which it may call though it was taught others. With
    `only_at_beginning`, a text that has begun is all text.
    """

    formats: Sequence[CallFormat] = ()
    strays: Sequence[CallFormat] = ()
    tools: Sequence[ToolSpec] = ()
    marks: ReasoningMarks | None = None
    thinking: Thinking = Thinking.POSSIBLE
    is_parallel: bool = True
    only_at_beginning: bool = False


class OutputReader:
    """Reads one answer. Never raises: malformed calls and thoughts are text."""

    def __init__(self, rules: ReadingRules, new_id: Callable[[], str]) -> None:
        self.rules = rules
        self._schemas = {tool.name: argument_schema(tool) for tool in rules.tools}
        self._new_id = new_id
        self._held = ""
        self._offset = 0  # of the held text's first character in the answer
        self._place = _Place.BEGINNING
        self._calls = 0
        # Of the last call: its arguments, what is behind them, and how another may follow.
        self._arguments: ArgumentReader
        self._tails: Sequence[Pattern] = ()
        self._following: Sequence[Mark[_Meaning]] = ()
        self.is_ended = False
        """Whether all was said that may be said: one call, where only one is allowed."""
        self._set_marks(rules)
        is_thinking = rules.marks is not None and rules.thinking is Thinking.OPEN
        self._state = self._read_thought if is_thinking else self._read_text

    def feed(self, text: str) -> list[Piece]:
        """More of the answer."""
        if self._is_amid_text and not self._held and not self._openings.may_begin_in(text):
            start, self._offset = self._offset, self._offset + len(text)
            return [Visible(start, text)] if text else []
        self._held += text
        return list(self._read(is_final=False))

    @property
    def _is_amid_text(self) -> bool:
        """Whether nothing but a mark that may stand anywhere can be more than text."""
        return self._place is _Place.MIDDLE and self._state == self._read_text

    def flush(self) -> list[Piece]:
        """What there is, now that the answer has ended or was cut."""
        return list(self._read(is_final=True))

    def _set_marks(self, rules: ReadingRules) -> None:
        anywhere: list[Mark[_Meaning]] = []
        beginning: list[Mark[_Meaning]] = []
        for form in (*rules.formats, *rules.strays):
            others = beginning if rules.only_at_beginning else anywhere
            if rules.tools:
                (others if form.is_anywhere else beginning).extend(_heads(form, form.opening))
            others += [Mark(Pattern((text,)), _Silent.OPENING) for text in form.silent]
            if form.text_opening:
                beginning.append(Mark(Pattern((form.text_opening,)), _Silent.OPENING))
        if rules.marks is not None:
            beginning.append(Mark(Pattern((rules.marks.opening,)), rules.marks))
        self._beginning = beginning
        self._openings = MarkFinder(anywhere)
        closings = [rules.marks] if rules.marks else []
        self._closings = MarkFinder([Mark(Pattern((marks.closing,)), marks) for marks in closings])

    def _read(self, *, is_final: bool) -> Iterator[Piece]:
        """Run the states until one of them needs more text."""
        while not self.is_ended:
            state = self._state
            yield from state(is_final)
            if self._state == state:
                return

    def _read_text(self, is_final: bool) -> Iterator[Piece]:
        while True:
            found = self._find(is_final=is_final)
            if is_final and found.mark is None and self._place is _Place.AFTER_CALL:
                self._held = self._held[: self._find(is_final=False).start]  # a mark that was cut
                found = self._find(is_final=True)
            yield from self._show(found.start)
            if found.mark is None:
                return
            self._take(found.end - found.start)
            match found.mark.meaning:
                case CallFormat() as form:
                    yield from self._begin_call(form, found.name)
                    return
                case ReasoningMarks():
                    self._state = self._read_thought
                    return
                case _Silent.OPENING:
                    self._place = _Place.BEGINNING
                case _Silent.CLOSING:
                    self._following = ()

    def _find(self, *, is_final: bool) -> Found[_Meaning]:
        return self._openings.search(
            self._held, self._schemas, anchored=self._anchored(), is_final=is_final
        )

    def _anchored(self) -> Sequence[Mark[_Meaning]]:
        """Marks that mean something only where the unread text begins."""
        match self._place:
            case _Place.BEGINNING | _Place.AFTER_THOUGHT:
                return self._beginning
            case _Place.AFTER_CALL:
                return self._following
            case _Place.MIDDLE:
                return ()

    def _show(self, length: int) -> Iterator[Piece]:
        start, text = self._offset, self._take(length)
        if self._place in {_Place.AFTER_THOUGHT, _Place.AFTER_CALL}:
            stripped = text.lstrip()
            start, text = start + len(text) - len(stripped), stripped
        if text:
            self._place = _Place.MIDDLE
            yield Visible(start, text)

    def _read_thought(self, is_final: bool) -> Iterator[Piece]:
        found = self._closings.search(self._held, is_final=is_final)
        text = self._take(found.start)
        if self._place is not _Place.MIDDLE:
            text = text.lstrip()
        if is_final:
            text = text.rstrip()
        if text:
            self._place = _Place.MIDDLE
            yield ReasoningDelta(text)
        if found.mark is not None:
            self._take(found.end - found.start)
            self._place = _Place.AFTER_THOUGHT
            self._state = self._read_text

    def _begin_call(self, form: CallFormat, name: str) -> Iterator[Piece]:
        closing: Mark[_Meaning] = Mark(Pattern((form.closing,)), _Silent.CLOSING)
        self._following = [*_heads(form, form.separator), *([closing] if form.closing else [])]
        self._tails = [Pattern(tail) for tail in form.tails]
        self._arguments = form.arguments.reader(self._schemas[name])
        self._state = self._read_arguments
        yield ToolCallStarted(self._calls, self._new_id(), name)

    def _read_arguments(self, is_final: bool) -> Iterator[Piece]:
        written, length = self._arguments.feed(self._held)
        self._take(length)
        if self._arguments.is_complete:
            self._state = self._read_tail
        elif is_final:
            written += self._arguments.flush(self._take(len(self._held)))
        if written:
            yield ToolCallDelta(self._calls, written)

    def _read_tail(self, is_final: bool) -> Iterator[Piece]:
        """Skip as much of a call's tail as is there: the call itself is complete."""
        start = skip_gap(self._held, 0)
        matches = [tail.match(self._held, start, ()) for tail in self._tails]
        is_cut = any(match.is_open for match in matches)
        if is_cut and not is_final:
            return
        self._take(len(self._held) if is_cut else max(match.end for match in matches))
        self._calls += 1
        self.is_ended = not self.rules.is_parallel
        self._place = _Place.AFTER_CALL
        self._state = self._read_text
        yield from ()

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        self._offset += length
        return taken


def _heads(form: CallFormat, before: Part) -> list[Mark[_Meaning]]:
    """The marks with which a call begins, behind the text `before`."""
    return [Mark(Pattern((before, *head), form.arguments.beginning), form) for head in form.heads]
