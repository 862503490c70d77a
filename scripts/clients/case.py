"""What a client is: how it is installed, what it is made to do, and what it must have sent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.clients.kits import NodeKit, PythonKit
from scripts.clients.relay import Notes
from scripts.clients.sandbox import Sandbox

FOLDER: Final = Path(__file__).parent


class FailedError(Exception):
    """A client did not do what was asked. `str(error)` says what it did."""


class NotDoneError(FailedError):
    """A client has not done its task, though nothing failed: a real model may not be able to."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One client in front of the server. `command` starts its program."""

    command: list[str]
    sandbox: Sandbox
    base_url: str
    model: str
    seconds: float

    @property
    def root_url(self) -> str:
        """Without `/v1`, as the clients of other protocols want it."""
        return self.base_url.removesuffix("/v1")


@dataclass(frozen=True, slots=True)
class Client:
    """A client. `run` says what it did, or raises FailedError.

    `sends` are texts that its requests must hold with the scripted model: what it is here for.
    `hears` are texts that answers to it must hold, whether its program can see them or not.
    Where its `records_are_short`, they hold only the beginnings of its long texts.
    """

    name: str
    kit: NodeKit | PythonKit
    run: Callable[[Visit], str]
    sends: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    runs_on_any_model: bool = False
    records_are_short: bool = False

    @property
    def version(self) -> str:
        return f"{self.kit.package} {self.kit.version}"

    def check(self, notes: Notes) -> None:
        """Raises FailedError where it did not send or get what it is here for."""
        sent = [one.path + one.body.decode(errors="replace") for one in notes.exchanges]
        if missing := _missing(self.sends, sent):
            raise FailedError(f"it never sent {missing}")
        heard = [one.answer.decode(errors="replace") for one in notes.exchanges]
        if missing := _missing(self.hears, heard):
            raise FailedError(f"it was never told {missing}")


def _missing(wanted: Iterable[str], texts: Sequence[str]) -> str:
    return ", ".join(one for one in wanted if not any(one in text for text in texts))


def run_program(visit: Visit) -> str:
    """Run a client's program. Each line that it prints is a thing that it has done."""
    done = visit.sandbox.run(
        visit.command,
        visit.seconds,
        BASE_URL=visit.base_url,
        ROOT_URL=visit.root_url,
        MODEL=visit.model,
        API_KEY="unused",
    )
    steps = [line for line in done.output.splitlines() if line]
    if done.status != 0:
        raise FailedError("; ".join([*steps, f"then {done.last_words}"]))
    return "; ".join(steps)


def python_client(folder: str, package: str, *sends: str) -> Client:
    """One whose `program.py` does everything."""
    kit = PythonKit(FOLDER / folder, package, "program.py")
    return Client(folder.replace("_", "-"), kit, run_program, sends)


def node_client(folder: str, package: str, *sends: str) -> Client:
    """One whose `program.mjs` does everything, and waits where it is told how far its prompt is."""
    kit = NodeKit(FOLDER / folder, package, "program.mjs")
    hears = ('"prompt_progress"',)
    return Client(folder.replace("_", "-"), kit, run_program, sends, hears)
