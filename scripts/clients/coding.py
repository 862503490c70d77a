"""The task of coding agents: where it is laid out, and what an agent has made of it."""

from pathlib import Path
from typing import Final

from scripts.clients.case import NotDoneError

CHECK: Final = "grep -q 'hello from a client' greeting.txt && echo checked | tee checked.txt\n"


def lay_out(work: Path) -> None:
    work.mkdir()
    (work / "check.sh").write_text(CHECK)


def seen(work: Path, said: str) -> str:
    """The file it wrote, and what it said. Raises NotDoneError."""
    greeting, checked = work / "greeting.txt", work / "checked.txt"
    written = greeting.read_text().strip() if greeting.exists() else None
    did = f"the file holds {written!r}; it said: {said.strip()[-100:]}"
    if written is None or not checked.exists():
        raise NotDoneError(f"the command has not been run with success; {did}")
    return f"the command has found the file; {did}"
