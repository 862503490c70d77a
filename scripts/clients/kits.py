"""Clients in folders of their own, exactly as pinned: npm's by their lock, Python's by a list.

A kit is installed once, and again when its pins change. The locks name no registry: the one that
npm and pip are configured for is asked.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

INSTALL_SECONDS: Final = 900
_LAST_WORDS: Final = 300


class SkippedError(Exception):
    """A client cannot be tried here. `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class NodeKit:
    """`folder` holds `package.json` and its lock.

    `program` is a file in it, or one that the package brings: for Node, or for the machine.
    """

    folder: Path
    package: str
    program: str
    is_native: bool = False

    @property
    def pins(self) -> tuple[Path, ...]:
        return (self.folder / "package.json", self.folder / "package-lock.json")

    @property
    def version(self) -> str:
        return str(json.loads(self.pins[0].read_text())["dependencies"][self.package])

    def command(self, home: Path) -> list[str]:
        """How its program is started, once it is installed in `home`.

        Node looks for packages beside the program: one of ours is copied there.
        """
        if (self.folder / self.program).exists():
            shutil.copy(self.folder / self.program, home)
        program = str(home / self.program)
        return [program] if self.is_native else [_found("node"), program]

    def install(self, home: Path) -> None:
        for pin in self.pins:
            shutil.copy(pin, home)
        npm = [_found("npm"), "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        _install(npm, home)


@dataclass(frozen=True, slots=True)
class PythonKit:
    """`folder` holds `requirements.txt`."""

    folder: Path
    package: str
    program: str

    @property
    def pins(self) -> tuple[Path, ...]:
        return (self.folder / "requirements.txt",)

    @property
    def version(self) -> str:
        [version] = re.findall(
            rf"^{re.escape(self.package)}==(\S+)$", self.pins[0].read_text(), re.MULTILINE
        )
        return str(version)

    def command(self, home: Path) -> list[str]:
        return [str(home / "venv" / "bin" / "python"), str(self.folder / self.program)]

    def install(self, home: Path) -> None:
        _install([sys.executable, "-m", "venv", "venv"], home)
        python = str(home / "venv" / "bin" / "python")
        _install([python, "-m", "pip", "install", "-q", "-r", str(self.pins[0])], home)


def installed(kit: NodeKit | PythonKit, cache: Path) -> list[str]:
    """How the kit's program is started; installs it first where it is not there as pinned.

    Raises SkippedError where that cannot be done.
    """
    home = cache / kit.folder.name
    stamp = home / "installed"
    pinned = sha256(b"".join(pin.read_bytes() for pin in kit.pins)).hexdigest()
    if not (stamp.exists() and stamp.read_text() == pinned):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        kit.install(home)
        stamp.write_text(pinned)
    return kit.command(home)


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise SkippedError(f"there is no {program} on the PATH")
    return path


def _install(command: Sequence[str], home: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SkippedError(f"{Path(command[0]).name} took over {INSTALL_SECONDS} s") from None
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip()[-_LAST_WORDS:].replace("\n", " ")
        raise SkippedError(f"it cannot be installed: {last}")
