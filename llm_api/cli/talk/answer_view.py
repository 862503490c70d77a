"""How an answer looks while it grows: as it comes in a pipe, as Markdown on a terminal.

Of Markdown, blocks that are complete are printed for good; the one that grows is drawn anew below
them. A bar stands there while the prompt is read.
"""

import re
import sys
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn

from llm_api.cli.terminal import harmless, note, notes, output

_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)
_BAR_FROM_TOKENS = 256
"""A prompt of fewer is read before anybody looks."""


class AnswerView(Protocol):
    """Is shown the pieces of one answer, then its end."""

    def text(self, piece: str) -> None: ...

    def reading(self, read: int, total: int, place: int, seconds_left: float | None) -> None: ...

    def aside(self, line: str) -> None: ...

    def end(self, *, has_text: bool) -> None: ...


def new_view(*, renders: bool, is_silent: bool = False) -> AnswerView:
    """What suits the place that standard output goes to."""
    if is_silent:
        return SilentView()
    console = output()
    if renders and console.is_terminal and not console.is_dumb_terminal:
        return MarkdownView(console)
    return PlainView(is_terminal=console.is_terminal)


class SilentView:
    """For programs, which get the whole."""

    def text(self, piece: str) -> None:
        pass

    def reading(self, read: int, total: int, place: int, seconds_left: float | None) -> None:
        pass

    def aside(self, line: str) -> None:
        pass

    def end(self, *, has_text: bool) -> None:
        pass


class ReadingBar:
    """A bar on stderr while a long prompt is read, if that is a terminal."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def show(self, read: int, total: int, place: int, seconds_left: float | None) -> None:
        if total < _BAR_FROM_TOKENS or (self._progress is None and read >= total):
            return
        if self._progress is None:
            self._begin()
        if self._progress is not None:
            left = "" if seconds_left is None else f", {seconds_left:.0f} s left"
            said = f"waiting, place {place}" if place else f"{read} of {total} tokens{left}"
            self._progress.update(
                self._progress.task_ids[0], completed=read, total=total, said=said
            )

    def end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _begin(self) -> None:
        console = notes()
        if not console.is_terminal or console.is_dumb_terminal:
            return
        columns = (TextColumn("reading"), BarColumn(20), TextColumn("{task.fields[said]}"))
        self._progress = Progress(*columns, console=console, transient=True)
        self._progress.add_task("reading", total=None, said="")
        self._progress.start()


class PlainView:
    """The text as it comes; to a terminal without what would control it."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._bar = ReadingBar()

    def text(self, piece: str) -> None:
        self._bar.end()
        sys.stdout.write(harmless(piece) if self._is_terminal else piece)
        sys.stdout.flush()

    def reading(self, read: int, total: int, place: int, seconds_left: float | None) -> None:
        self._bar.show(read, total, place, seconds_left)

    def aside(self, line: str) -> None:
        self._bar.end()
        note(line, "dim")

    def end(self, *, has_text: bool) -> None:
        self._bar.end()
        if has_text:
            sys.stdout.write("\n")
            sys.stdout.flush()


class MarkdownView:
    """Complete blocks for good, the growing one in a region that is drawn anew."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=12)
        self._bar = ReadingBar()
        self._growing = ""
        self._asides: list[str] = []

    def text(self, piece: str) -> None:
        self._bar.end()
        if not self._live.is_started:
            self._live.start()
        self._growing += harmless(piece)
        block, self._growing = split_blocks(self._growing)
        if block.strip():
            self._print(block)
        self._live.update(Markdown(self._growing))

    def reading(self, read: int, total: int, place: int, seconds_left: float | None) -> None:
        self._bar.show(read, total, place, seconds_left)

    def aside(self, line: str) -> None:
        """Beside a growing answer there is no room: then it comes at the end."""
        self._bar.end()
        if self._live.is_started:
            self._asides.append(line)
        else:
            note(line, "dim")

    def end(self, *, has_text: bool) -> None:
        self._bar.end()
        rest, self._growing = self._growing, ""
        if self._live.is_started:
            self._live.update(Markdown(""))
            self._live.stop()
        if rest.strip():
            self._console.print(Markdown(rest))
        for line in self._asides:
            note(line, "dim")

    def _print(self, block: str) -> None:
        self._console.print(Markdown(block))
        self._console.print()


def split_blocks(text: str) -> tuple[str, str]:
    """The blocks that nothing can change any more, and the one that grows. Pure.

    A block ends at an empty line outside of a fenced code block.
    """
    end = 0
    for found in re.finditer(r"\n[ \t]*\n", text):
        if len(_FENCE.findall(text, 0, found.start())) % 2 == 0:
            end = found.end()
    return text[:end], text[end:]
