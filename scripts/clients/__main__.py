"""Real clients in front of this server: one row each, and 1 as the exit code if one failed.

    python -m scripts.clients --only codex,ai-sdk --model PATH

Each is installed as pinned into a cache of its own, runs without a screen, and is shown no way out
of this machine. Without `--model` a scripted model makes the right calls.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from scripts.bench.process import StartError
from scripts.clients.case import Client, FailedError, NotDoneError, Visit
from scripts.clients.catalogue import CLIENTS
from scripts.clients.coder import NAME, FetchError, fetched_coder
from scripts.clients.kits import SkippedError, installed
from scripts.clients.loopback import HOST
from scripts.clients.recorded import Recorder
from scripts.clients.relay import Notes, relay, shut_door
from scripts.clients.sandbox import Sandbox
from scripts.clients.server import Served, served

CACHE: Final = Path.home() / ".cache" / "llm_api" / "clients"
SCRIPT_SECONDS: Final = 180.0
MODEL_SECONDS: Final = 1800.0
COLUMNS: Final = ("client", "version", "what it did", "requests", "result", "seconds")

Result: TypeAlias = Literal["passed", "FAILED", "not done", "skipped"]
"""`not done`: nothing failed, but the real model was not able to do the task."""


@dataclass(frozen=True, slots=True)
class Options:
    clients: Sequence[Client]
    model: Path | None
    cache: Path
    record: Path | None


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one client."""

    client: Client
    did: str
    notes: Notes
    result: Result
    seconds: float = 0.0

    def __str__(self) -> str:
        did = self.did.replace("|", "/").replace("\n", " ")
        if self.notes.outside:
            did += f" (was kept from {', '.join(sorted(set(self.notes.outside)))})"
        counts = Counter(map(str, self.notes.exchanges))
        requests = ", ".join(f"{count} x {one}" for one, count in counts.items())
        cells = (
            self.client.name,
            self.client.version,
            did,
            requests,
            self.result,
            f"{self.seconds:.1f}",
        )
        return f"| {' | '.join(cells)} |"


def try_client(client: Client, server: Served, options: Options, folder: Path) -> Row:
    """Install it, run it in `folder`, look at what it sent."""
    notes = Notes()
    is_scripted = options.model is None
    if not (is_scripted or client.runs_on_any_model):
        return Row(client, "only the scripted model plays along", notes, "skipped")
    try:
        command = installed(client.kit, options.cache)
    except SkippedError as reason:
        return Row(client, str(reason), notes, "skipped")
    began = time.monotonic()
    try:
        with shut_door(notes) as door, relay(server.port, notes) as port:
            seconds = SCRIPT_SECONDS if is_scripted else MODEL_SECONDS
            base_url = f"http://{HOST}:{port}/v1"
            did = client.run(Visit(command, Sandbox(folder, door), base_url, server.model, seconds))
        if is_scripted:
            client.check(notes)
    except FailedError as error:
        is_model_s = isinstance(error, NotDoneError) and not is_scripted
        result: Result = "not done" if is_model_s else "FAILED"
        return Row(client, str(error), notes, result, time.monotonic() - began)
    finally:
        if options.record is not None:
            recorder = Recorder(folder, client.records_are_short)
            records = recorder.records(client.version, notes.exchanges)
            (options.record / f"{client.name}.json").write_text(records, encoding="utf-8")
    return Row(client, did, notes, "passed", time.monotonic() - began)


def run(options: Options, folder: Path) -> bool:
    """Print the table. Whether no client has failed. Raises StartError."""
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    is_well = True
    with served(folder, options.model) as server:
        for client in options.clients:
            row = try_client(client, server, options, folder / client.name)
            print(row, flush=True)
            is_well &= row.result != "FAILED"
    return is_well


def read_options(arguments: Sequence[str]) -> Options:
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(names)}")
    parser.add_argument("--model", type=Path, help="a GGUF file instead of the scripted model")
    parser.add_argument(
        "--coder", action="store_true", help=f"{NAME}, fetched (1.1 GB) into the cache, likewise"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="where clients are installed")
    parser.add_argument("--record", type=Path, help="a folder for the requests, as tests take them")
    given = parser.parse_args(arguments)
    chosen = given.only.split(",") if given.only else names
    if unknown := set(chosen) - set(names):
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    if given.model is not None and not given.model.is_file():
        parser.error(f"there is no file {given.model}")
    if given.coder:
        given.model = fetched_coder(given.cache)
    clients = [one for one in CLIENTS if one.name in chosen]
    return Options(clients, given.model, given.cache, given.record)


def main() -> int:
    try:
        options = read_options(sys.argv[1:])
        with tempfile.TemporaryDirectory(prefix="clients-") as folder:
            return 0 if run(options, Path(folder)) else 1
    except (FetchError, StartError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
