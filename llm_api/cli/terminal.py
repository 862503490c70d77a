"""What the commands share about the terminal: where text goes, how wide, and what may reach it.

Prose is broken between words on a terminal, and never in a pipe. A word is never broken, so that
paths, ids and URLs can be copied; `copyable` lines are left to the terminal whole.
"""

import json
import textwrap
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console

# All C0 and C1 controls except tab and newline. A model, or the name in a model file, must not
# move the cursor, rename the window or write the clipboard.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])
_PIPE_WIDTH = 10_000
"""A pipe has no width to fold tables at."""
_LEAST_PROSE = 24
"""Columns that the last one of a table needs at least, if it is broken between words."""


def output() -> Console:
    """Answers and tables. Made when needed, so that a redirected stdout is respected."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def notes() -> Console:
    """Everything that is not the answer: errors, hints, progress."""
    return Console(stderr=True, highlight=False)


def note(line: str, style: str | None = None) -> None:
    """A line for the person at the terminal, in its own words."""
    print_prose(notes(), line, style)


def copyable(line: str) -> None:
    """The same for a line that is to be copied: nothing breaks it."""
    notes().print(harmless(line), markup=False, soft_wrap=True)


def fail(message: str) -> None:
    """Say in one line on stderr what went wrong."""
    note(f"Error: {' '.join(message.split())}")


def say(line: str) -> None:
    """A line of the answer."""
    print_prose(output(), line)


def print_prose(console: Console, line: str, style: str | None = None) -> None:
    """Broken between words on a terminal, whole in a pipe."""
    console.print(between_words(console, line), markup=False, style=style, soft_wrap=True)


def between_words(console: Console, text: str, indent: str = "") -> str:
    """The text, harmless, with breaks where it is wider than the terminal; then comes an indent."""
    lines = harmless(text).split("\n")
    if not console.is_terminal or max(map(len, lines)) <= console.width:
        return "\n".join(lines)
    wrapped = (
        textwrap.wrap(
            line,
            console.width,
            subsequent_indent=indent,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines
    )
    return "\n".join(part for parts in wrapped for part in parts or [""])


def print_json(value: object) -> None:
    """The answer for programs."""
    print(harmless(json.dumps(value, indent=2, ensure_ascii=False)))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Collection[str] = ()
) -> None:
    """A row a line; of the last column, words go on in the next line.

    Where the terminal is too narrow for that, a row is its name, and below it what is known.
    """
    console, known = output(), [[harmless(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *known, strict=True)]
    last = min(widths[-1], _LEAST_PROSE)
    if sum(widths[:-1]) + 2 * len(widths[1:]) + last > console.width:
        _print_records(console, columns, known)
    else:
        _print_rows(console, columns, known, numbers)


def _print_rows(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Collection[str],
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns, 1):
        table.add_column(
            column,
            justify="right" if column in numbers else "left",
            no_wrap=number < len(columns),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_records(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The name is the first column that has one, with marks before it."""
    name = next(place for place, column in enumerate(columns) if column)
    for row in rows:
        say(" ".join(filter(None, row[: name + 1])))
        rest = zip(columns[name + 1 :], row[name + 1 :], strict=True)
        said = ", ".join(f"{column} {cell}" for column, cell in rest if cell)
        say(between_words(console, f"  {said}", "  "))


def harmless(text: str) -> str:
    """The text without characters that control a terminal. Pure."""
    return text.translate(_CONTROLS)
