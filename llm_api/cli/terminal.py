"""What the commands share about the terminal: where text goes, and what may reach it."""

import json
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console

# All C0 and C1 controls except tab and newline. A model, or the name in a model file, must not
# move the cursor, rename the window or write the clipboard.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])
_PIPE_WIDTH = 10_000
"""A pipe has no width to fold tables at."""


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
    notes().print(harmless(line), markup=False, soft_wrap=True, style=style)


def fail(message: str) -> None:
    """Say in one line on stderr what went wrong."""
    note(f"Error: {' '.join(message.split())}")


def say(line: str) -> None:
    """A line of the answer."""
    output().print(harmless(line), markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """The answer for programs."""
    print(harmless(json.dumps(value, indent=2, ensure_ascii=False)))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Collection[str] = ()
) -> None:
    """A row a line; in a narrow terminal texts fold, and nothing of them is cut off."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in columns:
        is_number = column in numbers
        table.add_column(
            column,
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(harmless(str(cell))) for cell in row))
    output().print(table)


def harmless(text: str) -> str:
    """The text without characters that control a terminal. Pure."""
    return text.translate(_CONTROLS)
