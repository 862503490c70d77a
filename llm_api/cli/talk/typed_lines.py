"""Lines that a person types, with those of earlier runs at the arrow keys."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from llm_api.cli.talk.commands import HINT
from llm_api.cli.terminal import note

MOST_LINES: Final = 1_000


def history_file() -> Path:
    """Where questions of earlier runs are kept, for their author alone to read."""
    return Path.home() / ".local" / "state" / "llm_api" / "chat_history"


@contextmanager
def history() -> Iterator[None]:
    """Line editing with the history of earlier runs, which is kept at the end.

    A home that cannot be written to costs the history alone.
    """
    import readline

    file = history_file()
    with suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(MOST_LINES)
    try:
        yield
    finally:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            readline.write_history_file(file)


def typed_lines() -> Iterator[str]:
    """Lines that a person types, until Ctrl-D. Ctrl-C drops the line being typed."""
    while True:
        try:
            yield input("> ")
        except EOFError:
            sys.stdout.write("\n")
            return
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            note(HINT)
