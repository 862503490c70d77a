"""Damages the embedded store at random, and looks whether anything else suffers.

`python -m scripts.damage_store --damages 200`; a few seconds each. Three collections are stored.
Then one file under the folder is removed, cut, emptied, or has a bit flipped, and the store opens:

- the damage is named: by the list of collections, or in the log;
- every document of every other collection is there, whole, and found;
- when the file is back, so is every document of the damaged one; or it can be deleted.

With `--killed` the store is killed before, so that nothing is sealed: then the other collections
are looked at alone, as the engine does not notice all that happens to its files.
"""

import argparse
import asyncio
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.stores.catalogue import Catalogue
from llm_api.core.rag.stores.edge_process import open_edge_process
from llm_api.core.rag.stores.edge_worker import open_store
from llm_api.core.rag.vector_store import VectorStore
from scripts.kill_store import MODEL, document, states

Kind: TypeAlias = Literal["removed", "cut", "flipped", "emptied"]
KINDS: Final[tuple[Kind, ...]] = ("removed", "cut", "flipped", "emptied")

NAMES: Final = ("first", "second", "third")
DOCUMENTS = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one damage. `problems` are the claims that did not hold."""

    kind: Kind
    file: str
    named: str
    problems: Sequence[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--damages", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--killed", action="store_true", help="kill the store, do not close it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        outcomes = asyncio.run(
            run(Path(name), options.damages, options.seed, is_killed=options.killed, tells=True)
        )
    print(table(outcomes))
    harmed = sum(bool(one.problems) for one in outcomes)
    sys.exit(f"{harmed} of {len(outcomes)} damages did harm" if harmed else 0)


async def run(
    folder: Path, count: int, seed: int, *, is_killed: bool = False, tells: bool = False
) -> list[Outcome]:
    """Damage a store so often, from the same state each time. `tells` prints each outcome."""
    choose = random.Random(seed)  # noqa: S311 - no cryptography
    good, damaged = folder / "good", folder / "damaged"
    await fill(good, is_killed=is_killed)
    outcomes = []
    for number in range(1, count + 1):
        _copy(good, damaged)
        file, kind = choose.choice(_state_files(damaged)), choose.choice(KINDS)
        outcomes.append(await damage_once(damaged, file, kind, choose, is_killed=is_killed))
        if tells:
            one = outcomes[-1]
            print(f"{number} {one.file} {one.kind}: {one.named or '-'}", *one.problems, flush=True)
    return outcomes


async def fill(folder: Path, *, is_killed: bool) -> None:
    async with open_edge_process(folder) as store:
        for name in NAMES:
            await store.create_collection(name, MODEL)
            documents = [document(number, 1) for number in range(DOCUMENTS)]
            await store.replace_documents(name, MODEL.model, documents)
        if is_killed and store.process_id is not None:
            os.kill(store.process_id, signal.SIGKILL)


async def damage_once(
    folder: Path, file: Path, kind: Kind, choose: random.Random, *, is_killed: bool
) -> Outcome:
    """Damage a file, open the store, put the file back or delete what is damaged, look again."""
    kept, whose = file.read_bytes(), file.relative_to(folder)  # noqa: ASYNC240 - alone here
    is_changed = _damage(file, kind, choose)
    with _Log() as log:
        async with open_store(folder) as store:
            damages = await _damages(store)
            spared = [*damages, *(_collections_in(folder, file) if is_killed else ())]
            problems = await _problems(store, spared)
            named = "; ".join([*damages.values(), *log.lines])
            if is_changed and not named and not is_killed:
                problems.append("nothing names it")
            if damages and choose.random() < 0.5:
                file.write_bytes(kept)  # noqa: ASYNC240
                problems += [f"{name} is not whole again" for name in await _damages(store)]
                problems += await _problems(store, [] if not is_killed else spared)
            elif damages:
                for name in damages:
                    await store.delete_collection(name)
                problems += await _problems(store, spared)
    return Outcome(kind, _shown(whose), named, problems)


async def _damages(store: VectorStore) -> dict[str, str]:
    """What is said of the collections that are damaged, by name."""
    listed = await store.list_collections()
    return {one.name: one.damage for one in listed if one.damage is not None}


async def _problems(store: VectorStore, spared: Sequence[str]) -> list[str]:
    """What is not as it was stored, but for the collections that need not be."""
    expected = {f"d{number}": "v1" for number in range(DOCUMENTS)}
    problems = []
    for name in NAMES:
        if name in spared:
            continue
        try:
            found = await states(store, name)
            texts = {(await store.read_document(name, id_)).text for id_ in expected}
        except LLMAPIError as error:
            problems.append(f"{name}: {error.message}")
            continue
        if (found, texts) != (expected, {"v1"}):
            problems.append(f"{name} has {found} and {texts}")
    return problems


def _collections_in(folder: Path, file: Path) -> list[str]:
    """Which collection the file belongs to, if it does."""
    entries = Catalogue(folder).entries
    subfolder = file.relative_to(folder).parts[0]
    return [name for name, entry in entries.items() if entry.subfolder == subfolder]


class _Log(logging.Handler):
    """Warnings and errors of the store, as lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().partition("\n")[0])

    def __enter__(self) -> "_Log":
        logging.getLogger("llm_api").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("llm_api").removeHandler(self)


def _state_files(folder: Path) -> list[Path]:
    """All but the lock, which holds nothing."""
    return [one for one in sorted(folder.rglob("*")) if one.is_file() and one.name != "lock"]


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=_copy_sparse)


def _copy_sparse(source: str, target: str) -> None:
    """What is nothing but zeros is not written: most of these files is."""
    data = Path(source).read_bytes().rstrip(b"\0")
    Path(target).write_bytes(data)
    os.truncate(target, Path(source).stat().st_size)


def _damage(file: Path, kind: Kind, choose: random.Random) -> bool:
    """Whether that changes it: an empty file cannot be emptied."""
    before = file.read_bytes()
    size = len(before)
    match kind:
        case "removed":
            file.unlink()
        case "emptied":
            os.truncate(file, 0)
        case "cut":
            os.truncate(file, choose.randrange(max(1, size)))
        case "flipped":
            data = bytearray(before)
            used = len(data.rstrip(b"\0")) or size
            if used:
                data[choose.randrange(used)] ^= 1 << choose.randrange(8)
                file.write_bytes(data)
    return not file.exists() or file.read_bytes() != before


def _shown(path: Path) -> str:
    """A path without its random names."""
    return "/".join(part if len(part) < 34 else "*" for part in path.parts)


def table(outcomes: Sequence[Outcome]) -> str:
    """By kind of damage: how many, named, without harm."""
    counts = Counter(one.kind for one in outcomes)
    named = Counter(one.kind for one in outcomes if one.named)
    harmed = Counter(one.kind for one in outcomes if one.problems)
    rows = [f"| {kind} | {counts[kind]} | {named[kind]} | {harmed[kind]} |" for kind in KINDS]
    head = "| damage | files | named | harmed others, or did not heal |\n|---|---|---|---|"
    return "\n".join([head, *rows])


if __name__ == "__main__":
    main()
