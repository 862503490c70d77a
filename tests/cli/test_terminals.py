"""Every command on terminals of 60 and 120 columns, in a pipe, interrupted, and as a server dies.

One table says what is typed. A command that it lacks fails the first test.
"""

import json
import os
import re
import shutil
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from fastapi import FastAPI

from llm_api.api.deps import set_services
from llm_api.api.wiring import create_api
from llm_api.cli.app import COMMANDS
from llm_api.cli.lazy import every_verb, load
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.llm.prefix_cache import state_file
from tests.cli.falling_server import BOTH, Fall, FallingServer, falling_server
from tests.cli.forking import Commands, forked_commands
from tests.cli.terminal import plain
from tests.cli.test_rag import write_beir
from tests.core.embeddings.fake_encoder import FakeEncoder, fake_embedder
from tests.core.llm.hub_stand_in import Hub, running_hub
from tests.core.llm.prefix_cache.states import stored_of, tokens_of
from tests.core.llm.tiny_gguf import gguf_bytes, write_gguf
from tests.core.rag.fakes import open_retrieval
from tests.fakes import FakeBackend, FakeModels, FakeServices
from tests.live import live_server, wait_until

pytestmark = pytest.mark.long

MODEL: Final = "owner--Some-Long-Name-GGUF/some-long-name-instruct-Q4_K_M.gguf"
DOCUMENT: Final = "docs/on-the-rivers-of-the-north.md"
COPIED: Final = re.compile(r"Serve it with: |Fetch one: | {2}(page|API|talk|call) |\[[\d.,-]+\]$")
"""Lines that are to be copied: the terminal folds them, and no line of ours does."""
numbers: Final = count(1)


@dataclass(frozen=True)
class Typed:
    """What is typed after a command's own words.

    Each of `sees` is seen whole, though its words may go on in the next line. For Ctrl-C `waits` is
    typed instead, which waits for a server that is silent, or for a pipe that nobody writes to.
    Where it is `ready`, it goes on until it is interrupted.
    """

    words: str = ""
    sees: tuple[str, ...] = ()
    waits: str | None = None
    ready: str = ""
    code: int = 0


LOCAL: Final = "EMBEDDING_URL={falling}/v1 EMBEDDING_MODEL_NAME=words QDRANT_TIMEOUT_SECONDS=60 "
HUB: Final = "HF_ENDPOINT={hub} "
FALLING_HUB: Final = "HF_ENDPOINT={falling} "
STUB: Final = "LLM_BACKEND=stub EMBEDDING_BACKEND=none "
PIPE: Final = "CONFIG_FILE={pipe} "
KEYS: Final = " --file keys.yaml"
KEYS_PIPE: Final = " --file {pipe}"
PULLED: Final = "owner/Qwen3-4B-Instruct-GGUF"

TABLE: Final[Mapping[str, Typed]] = {
    "serve": Typed(STUB + "--port 0", ("serves stub", "Ctrl-C; answers"), ready="end     "),
    "chat": Typed("Hello", ("Hello world!",), "Hello"),
    "ingest": Typed("docs -c {number}", ("2 created", "skipped, empty: docs/empty.md"), "docs"),
    "rag collections": Typed("", ("default", "words", "ready"), ""),
    "rag list": Typed("", (DOCUMENT, "markdown"), ""),
    "rag show": Typed(DOCUMENT, ("The Danube is a long river,", "kind: markdown"), "x"),
    "rag search": Typed("river --top-k 1", (f"1. {DOCUMENT}", "Danube is a long river"), "river"),
    "rag ask": Typed("river", ("Hello world!", f"[1] {DOCUMENT}"), "river"),
    "rag delete": Typed('--filter {"kind":"x"} --yes', ("0 documents deleted",), "x"),
    "rag report": Typed("", ("failed: 0", "folder docs", "embedded by words"), ""),
    "rag eval": Typed(LOCAL + "beir", ("Best here: ", "nDCG@10"), LOCAL + "beir"),
    "rag reindex": Typed(LOCAL + "--force", ("2 documents of",), LOCAL + "--force"),
    "models list": Typed("", (MODEL, "F32", "it has 895 bytes and its header"), PIPE),
    "models show": Typed("cut.gguf", ("models/cut.gguf is truncated or",), PIPE + "cut"),
    "models search": Typed(HUB + "qwen3 4b", (PULLED, "1000"), FALLING_HUB + "x"),
    "models pull": Typed(
        HUB + PULLED,
        ("→ 896 bytes fits qwen-Q4_K_M.gguf", "models/owner--Qwen3-4B-Instruct-GGUF/qwen-Q4_K_M"),
        FALLING_HUB + PULLED,
    ),
    "models delete": Typed(MODEL, (f"Removed models/{MODEL}",)),
    "models optimize": Typed("--auto", ("it is run as it is",)),
    "embed": Typed("river", ("0.",), "river"),
    "functions list": Typed("", ("get_weekday", "and its ISO week."), PIPE),
    "functions show": Typed("get_weekday", ("name: get_weekday",), PIPE + "x"),
    "functions call": Typed("get_weekday date=2026-02-14", ('"Saturday"',), PIPE + "x"),
    "keys create": Typed("bob" + KEYS, ("sk-llm-", "only time it is shown"), "x" + KEYS_PIPE),
    "keys list": Typed(KEYS, ("alice", "team-*:write", "100000 tokens/day"), KEYS_PIPE),
    "keys show": Typed("alice" + KEYS, ("tokens_per_day: 100000",), "x" + KEYS_PIPE),
    "keys delete": Typed("alice" + KEYS, ("no longer in keys.yaml",), "x" + KEYS_PIPE),
    "cache list": Typed("--dir kv", ("alice", "2.0 kB"), ""),
    "cache delete": Typed("--dir kv", ("1 prefixes are deleted",), ""),
    "doctor": Typed("-m models/cut.gguf", ("it has 895 bytes and its header",), PIPE, code=1),
}
VERBS: Final = {" ".join(words): verb for words, verb in every_verb(COMMANDS)}
NO_JSON: Final = {"serve", "embed", "functions call"}
"""A server, and what is JSON as it is."""
ON_WITHOUT: Final = {"models list", "models show"}
"""They go on without a server, and say so."""


def options(command: str) -> set[str]:
    return {name for one in load(command, VERBS[command]).params for name in one.opts}


SERVED: Final = sorted(
    command
    for command in VERBS
    if "--url" in options(command) or "{falling}" in (TABLE[command].waits or "")
)


@dataclass(frozen=True)
class World:
    """Commands, whom they talk to, and a furnished folder. Each run has a copy of it."""

    commands: Commands
    server: str
    falling: FallingServer
    hub: Hub
    template: Path

    def folder(self, place: Path, command: str) -> Path:
        shutil.copytree(self.template, place)
        os.mkfifo(place / "pipe")
        if command == "rag reindex":  # not copied: a store has files of 200 MB, mostly holes
            self.falling.answers = BOTH
            self.run(place, f"{LOCAL}ingest docs --local")
        return place

    def run(self, place: Path, text: str) -> None:
        arguments, variables = self.typed("", text, self.server)
        done = self.commands.ended(place, *arguments, **variables)
        assert done.code == 0, done.errors

    def typed(self, command: str, text: str, url: str) -> tuple[list[str], dict[str, str]]:
        """Arguments and variables, of which those that are meant for a server name this one."""
        known = {
            "{falling}": self.falling.url,
            "{hub}": self.hub.endpoint,
            "{pipe}": "pipe",
            "{number}": f"n{next(numbers)}",
        }
        for name, value in known.items():
            text = text.replace(name, value)
        words = text.split()
        variables = {name: value for name, _, value in map(_assigned, words) if name.isupper()}
        arguments = [word for word in words if _assigned(word)[0] not in variables]
        return [*command.split(), *arguments], {"LLM_API_URL": url, **variables}


def _assigned(word: str) -> tuple[str, str, str]:
    return word.partition("=")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The real API over a store in memory, a model by script, and embedders of tests."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        backend = FakeBackend()
        embedders = EmbedderRegistry([fake_embedder(FakeEncoder())])
        async with open_retrieval(backend=backend) as retrieval:
            models = FakeModels([backend])
            set_services(app, FakeServices(models, embedders, retrieval=retrieval))
            yield

    with live_server(create_api(lifespan, version="0")) as url:
        yield url


@pytest.fixture(scope="module")
def world(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("terminals") / "template"
    with running_hub() as hub, falling_server() as falling, forked_commands() as commands:
        for name in ("qwen-Q8_0", "qwen-Q4_K_M", "qwen-Q2_K"):
            hub.files[PULLED, f"{name}.gguf"] = gguf_bytes()
        world = World(commands, server, falling, hub, folder)
        _furnish(folder)
        limits = "--tokens-per-day 100000 --collection team-*:write"
        world.run(folder, f"keys create alice {limits}{KEYS}")
        world.run(folder, "ingest docs")
        yield world


def _furnish(folder: Path) -> None:
    write_gguf(folder / "models" / MODEL)
    write_gguf(folder / "models" / "cut.gguf", gguf_bytes()[:-1])
    (folder / "docs").mkdir()
    (folder / DOCUMENT).write_text("The Danube is a long river, and so is the Rhine.")
    (folder / "docs" / "bread.md").write_text("Sourdough bread rises by yeast.")
    (folder / "docs" / "empty.md").write_text("")
    write_beir(folder / "beir")
    stored = stored_of(tokens_of(100), size=2000, scope="alice")
    assert stored.state is not None
    state_file.write(folder / "kv", stored, stored.state, lambda: None)


def test_every_command_is_in_the_table() -> None:
    """A model is deleted at once; `models optimize` is interrupted in its own tests."""
    assert TABLE.keys() == VERBS.keys()
    unwaiting = {command for command, typed in TABLE.items() if typed.waits is None}
    assert unwaiting == {"serve", "models delete", "models optimize"}


def test_every_command_speaks_to_programs() -> None:
    assert {command for command in VERBS if "--json" not in options(command)} == NO_JSON


@pytest.mark.parametrize("width", [60, 120])
@pytest.mark.parametrize("command", TABLE)
def test_nothing_is_wider_than_the_terminal_or_cut(
    world: World, tmp_path: Path, command: str, width: int
) -> None:
    typed = TABLE[command]
    arguments, variables = world.typed(command, typed.words, world.server)
    folder = world.folder(tmp_path / "home", command)
    with world.commands.terminal(folder, width, *arguments, **variables) as (running, screen):
        seen = ""
        if typed.ready:
            seen = screen.until(typed.ready) + typed.ready
            screen.types("\x03")
        seen = plain(seen + screen.rest())
        assert running.wait() == (130 if typed.ready else typed.code), seen
    words = " ".join(seen.split())
    assert [text for text in typed.sees if text not in words] == [], seen
    assert "Traceback" not in seen
    assert re.search(r"\S…", seen) is None, seen
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", seen)]
    wide = [line for line in lines if len(line) > width and " " in line.strip()]
    assert [line for line in wide if COPIED.search(line) is None] == []


@pytest.mark.parametrize("command", TABLE)
def test_pipe_gets_the_same_in_plain_words_and_programs_get_json(
    world: World, tmp_path: Path, command: str
) -> None:
    typed = TABLE[command]
    for number, wish in enumerate([[], ["--json"]][: 1 if command in NO_JSON else 2]):
        arguments, variables = world.typed(command, typed.words, world.server)
        folder = world.folder(tmp_path / str(number), command)
        with world.commands.pipe(folder, *arguments, *wish, **variables) as running:
            if typed.ready:
                wait_until(lambda: "serves" in (folder / "errors").read_text())  # noqa: B023
                running.interrupt()
            code = running.wait()
        said, told = ((folder / name).read_text() for name in ("output", "errors"))
        assert code == (130 if typed.ready else typed.code), told
        assert "\x1b" not in said + told
        if wish:
            json.loads(said)


@pytest.mark.parametrize("command", [name for name in TABLE if TABLE[name].waits is not None])
def test_ctrl_c_ends_it_and_leaves_nothing(world: World, tmp_path: Path, command: str) -> None:
    world.falling.fall = "is silent"
    arguments, variables = world.typed(command, TABLE[command].waits or "", world.falling.url)
    folder = world.folder(tmp_path / "home", command)
    world.falling.answers = frozenset({"models"})
    world.falling.asked.clear()
    before = names(folder)
    with (
        world.commands.terminal(folder, 60, *arguments, **variables) as (running, screen),
        ExitStack() as writing,
    ):
        wait_until(lambda: world.falling.asked.is_set() or is_read(folder / "pipe", writing))
        screen.types("\x03")
        if not world.falling.asked.is_set() and not running.has_ended(3):
            screen.types("\x03")  # Python had just looked for signals when it began to read
        seen = plain(screen.rest())
        assert running.wait() == 130, seen
    assert "Traceback" not in seen
    assert "Error" not in seen
    assert names(folder) == before


def names(folder: Path) -> list[str]:
    """What is in a folder, but for the files of the store itself."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in found if name.count("/") < 3 and not name.endswith(".lock"))


def is_read(pipe: Path, writing: ExitStack) -> bool:
    """Whether somebody waits for what is written to it: nothing, while `writing`."""
    try:
        writing.callback(os.close, os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("fall", ["hangs up", "breaks off"])
@pytest.mark.parametrize("command", SERVED)
def test_dying_server_is_one_sentence(
    world: World, tmp_path: Path, command: str, fall: Fall
) -> None:
    world.falling.fall = fall
    text = (TABLE[command].waits or "").replace(PIPE, "")
    arguments, variables = world.typed(command, text, world.falling.url)
    folder = world.folder(tmp_path / "home", command)
    world.falling.answers = frozenset() if command in ON_WITHOUT else frozenset({"models"})
    done = world.commands.ended(folder, *arguments, **variables)
    assert done.code == (0 if command in ON_WITHOUT else 1), done.errors
    (line,) = done.errors.splitlines()
    assert line.startswith("What is loaded" if command in ON_WITHOUT else "Error: ")
    assert "Traceback" not in done.output
