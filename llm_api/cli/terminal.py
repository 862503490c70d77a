"""What the commands share about the terminal: where text goes, and what may reach it."""

from rich.console import Console

# All C0 and C1 controls except tab and newline. A model, or the name in a model file, must not
# move the cursor, rename the window or write the clipboard.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


def output() -> Console:
    """Answers and tables. Made when needed, so that a redirected stdout is respected."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 240  # a pipe has no width to fold tables at
    return console


def notes() -> Console:
    """Everything that is not the answer: errors, hints, progress."""
    return Console(stderr=True, highlight=False)


def fail(message: str) -> None:
    """Say in one line on stderr what went wrong."""
    notes().print(f"Error: {harmless(' '.join(message.split()))}", markup=False, soft_wrap=True)


def harmless(text: str) -> str:
    """The text without characters that control a terminal. Pure."""
    return text.translate(_CONTROLS)
