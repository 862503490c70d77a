"""States in RAM and on disk: what is found, what leaves, and what outlives the process."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from llm_api.core.llm.prefix_cache import state_file
from llm_api.core.llm.prefix_cache.model_prefixes import ModelPrefixes
from llm_api.core.llm.prefix_cache.prefix_cache import DAY_SECONDS, CacheLimits, PrefixCache
from llm_api.core.llm.prefix_cache.state_file import StateFileError
from llm_api.core.llm.prefix_cache.state_folder import StateFolder
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE
from tests.core.llm.prefix_cache.states import keep, tokens_of
from tests.live import PATIENCE_SECONDS

ROOM = 100_000


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Library:
    """A cache over a folder, whose owner is the test: what threads post is done when it waits."""

    def __init__(self, root: Path | None, limits: CacheLimits, clock: Clock) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        folder = StateFolder(root) if root is not None else None
        self.cache = PrefixCache(limits, folder, self._calls.put, clock=clock)
        self.cache.hurry(is_hurried=True)
        self.cache.find_files()

    def of(self, fingerprint: str = "model") -> ModelPrefixes:
        return ModelPrefixes(self.cache, fingerprint, 10_000)

    def settle(self) -> None:
        """Until everything is written."""
        is_settled: list[bool] = []
        self.cache.settle(lambda: is_settled.append(True))
        while not is_settled:
            self._calls.get(timeout=PATIENCE_SECONDS)()

    def fetch(self, prefixes: ModelPrefixes, tokens: list[int], scope: str = "") -> bool:
        wanted = prefixes.on_disk(tokens, scope, 0)
        if wanted is None:
            return False
        has_come: list[bool] = []
        prefixes.fetch(wanted, lambda: has_come.append(True))
        while not has_come:
            self._calls.get(timeout=PATIENCE_SECONDS)()
        return True


@contextmanager
def library(
    root: Path | None = None, *, ram: int = ROOM, disk: int = ROOM, clock: Clock | None = None
) -> Iterator[Library]:
    opened = Library(root, CacheLimits(ram, disk), clock or Clock())
    try:
        yield opened
    finally:
        opened.cache.close()


def test_a_longer_prompt_finds_what_was_kept() -> None:
    with library() as shelf:
        prefixes = shelf.of()
        assert keep(prefixes, tokens_of(200))
        source = prefixes.source([*tokens_of(150), 1, 2, 3], "", 0, ROOM)
        assert source is not None
        assert (source.useful, source.length, source.tokens) == (150, 200, tokens_of(200))
        assert prefixes.source(tokens_of(200), "other", 0, ROOM) is None
        assert shelf.of("other model").source(tokens_of(200), "", 0, ROOM) is None
        [status] = prefixes.status()
        assert (status.tokens, status.bytes, status.hits) == (200, 1000, 1)
        assert status.restored_tokens == 150


def test_little_more_than_what_is_resident_is_not_worth_reading() -> None:
    with library() as shelf:
        prefixes = shelf.of()
        keep(prefixes, tokens_of(200))
        assert prefixes.source(tokens_of(200), "", 190, ROOM) is None
        assert prefixes.source(tokens_of(200), "", 100, ROOM) is not None


def test_what_is_read_more_slowly_than_computed_is_computed() -> None:
    with library() as shelf:
        prefixes = shelf.of()
        keep(prefixes, tokens_of(200))
        for _ in range(50):
            prefixes.speeds.learn_computing(1_000_000, 0.01)
            prefixes.speeds.learn_copy(1000, 1.0)
        assert prefixes.source(tokens_of(200), "", 0, ROOM) is None


def test_a_state_that_cannot_be_cut_is_used_whole() -> None:
    with library() as shelf:
        prefixes = shelf.of()
        prefixes.can_cut = False
        keep(prefixes, tokens_of(200))
        keep(prefixes, tokens_of(300))
        assert prefixes.source(tokens_of(199), "", 0, ROOM) is None
        for length, found in ((200, 200), (299, 200), (300, 300)):
            source = prefixes.source(tokens_of(length), "", 0, ROOM)
            assert source is not None
            assert source.useful == source.length == found


def test_a_conversation_that_goes_on_takes_the_place_of_its_beginning() -> None:
    with library() as shelf:
        prefixes = shelf.of()
        for length in (100, 200, 300):
            assert keep(prefixes, tokens_of(length))
        assert not keep(prefixes, tokens_of(310)), "hardly more than is kept"
        assert [len(one.tokens) for one in shelf.cache.index] == [300]


def test_what_shares_most_with_another_is_not_kept_beside_it() -> None:
    with library() as shelf:
        prefixes = shelf.of()
        assert keep(prefixes, tokens_of(800))
        assert not keep(prefixes, [*tokens_of(750), *range(50)])
        assert keep(prefixes, [*tokens_of(700), *range(150)])


def test_ram_is_never_exceeded_and_the_oldest_leave() -> None:
    clock = Clock()
    with library(clock=clock) as shelf:
        prefixes = shelf.of()
        for seed in range(7):
            clock.now += 1
            keep(prefixes, tokens_of(100, seed), 30_000)
            assert shelf.cache.ram.used <= ROOM
        assert not keep(prefixes, tokens_of(100, 99), ROOM + 1)
        kept = [prefixes.source(tokens_of(100, seed), "", 0, ROOM) is not None for seed in range(7)]
        assert kept == [False] * 4 + [True] * 3


def test_nothing_is_kept_without_room() -> None:
    with library(ram=0) as shelf:
        assert not keep(shelf.of(), tokens_of(200))
        assert shelf.of().status() == ()


def test_a_pinned_prefix_serves_every_scope() -> None:
    with library() as shelf:
        prefixes = shelf.of()
        keep(prefixes, tokens_of(200), scope=PINNED_SCOPE)
        assert prefixes.source(tokens_of(200), "any key", 0, ROOM) is not None
        assert prefixes.source(tokens_of(200), "any key\0with an adapter", 0, ROOM) is None


def test_a_restart_finds_what_was_written(tmp_path: Path) -> None:
    with library(tmp_path) as shelf:
        keep(shelf.of(), tokens_of(200), 5000, "key")
        shelf.settle()
    with library(tmp_path) as shelf:
        prefixes = shelf.of()
        assert prefixes.source(tokens_of(200), "key", 0, ROOM) is None, "not before it was read"
        assert not shelf.fetch(prefixes, tokens_of(200), "other key")
        assert shelf.fetch(prefixes, tokens_of(200), "key")
        source = prefixes.source(tokens_of(200), "key", 0, ROOM)
        assert source is not None
        assert source.state.tolist() == [0] * 5000
        assert [(one.name, one.hits) for one in prefixes.status()] == [("ram", 0), ("disk", 1)]


def test_what_may_be_in_memory_only_is_not_written(tmp_path: Path) -> None:
    with library(tmp_path) as shelf:
        keep(shelf.of(), tokens_of(200), retention="in_memory")
        shelf.settle()
    assert state_file.files_of(tmp_path) == []


def test_the_disk_is_never_exceeded(tmp_path: Path) -> None:
    clock = Clock()
    with library(tmp_path, disk=70_000, clock=clock) as shelf:
        for seed in range(5):
            clock.now += 1
            keep(shelf.of(), tokens_of(100, seed), 20_000)
            shelf.settle()
            assert shelf.cache.disk.used <= 70_000
    assert len(state_file.files_of(tmp_path)) == 3


def test_a_smaller_room_after_a_restart_is_kept_to(tmp_path: Path) -> None:
    with library(tmp_path) as shelf:
        for seed in range(4):
            keep(shelf.of(), tokens_of(100, seed), 20_000)
        shelf.settle()
    with library(tmp_path, disk=45_000):
        pass
    assert len(state_file.files_of(tmp_path)) == 2


def test_files_that_nobody_uses_expire(tmp_path: Path) -> None:
    clock = Clock()
    with library(tmp_path, clock=clock) as shelf:
        keep(shelf.of(), tokens_of(200, 1))
        keep(shelf.of(), tokens_of(200, 2), retention="24h")
        keep(shelf.of(), tokens_of(200, 3), scope=PINNED_SCOPE)
        shelf.settle()
        for days, left in ((0.9, 3), (1.1, 2), (7.1, 1)):
            clock.now = Clock.now + days * DAY_SECONDS
            shelf.cache.expire()
            assert len(shelf.cache.disk.members()) == left
    assert len(state_file.files_of(tmp_path)) == 1


def test_the_files_of_a_key_go_with_it(tmp_path: Path) -> None:
    with library(tmp_path) as shelf:
        for scope in ("gone", "stays"):
            keep(shelf.of(), tokens_of(200), scope=scope)
        shelf.settle()
        assert shelf.cache.forget(lambda owner: owner == "gone").prefixes == 1
        assert shelf.of().source(tokens_of(200), "gone", 0, ROOM) is None
    [path] = state_file.files_of(tmp_path)
    assert path.parent == state_file.folder_of(tmp_path, "stays")


def test_a_prefix_forgotten_while_it_is_written_leaves_no_file(tmp_path: Path) -> None:
    with library(tmp_path) as shelf:
        keep(shelf.of(), tokens_of(200))
        shelf.cache.forget(lambda owner: True)
        shelf.settle()
    assert state_file.files_of(tmp_path) == []


def test_damaged_files_are_one_line_of_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with library(tmp_path) as shelf:
        for seed in range(3):
            keep(shelf.of(), tokens_of(200, seed))
        shelf.settle()
    for path in state_file.files_of(tmp_path)[:2]:
        path.write_bytes(b"something else")
    with caplog.at_level(logging.WARNING, "llm_api"), library(tmp_path) as shelf:
        assert len(list(shelf.cache.index)) == 1
    assert len(caplog.records) == 1
    assert "2 files are ignored" in caplog.text


def test_a_state_damaged_on_disk_is_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with library(tmp_path) as shelf:
        keep(shelf.of(), tokens_of(200))
        shelf.settle()
    [path] = state_file.files_of(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING, "llm_api"), library(tmp_path) as shelf:
        prefixes = shelf.of()
        assert shelf.fetch(prefixes, tokens_of(200))
        assert prefixes.source(tokens_of(200), "", 0, ROOM) is None
        assert not shelf.fetch(prefixes, tokens_of(200)), "once is enough"
    assert len(caplog.records) == 1


def test_a_full_disk_is_one_line_of_log_and_ram_serves_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_file, "write", full)
    with caplog.at_level(logging.WARNING, "llm_api"), library(tmp_path) as shelf:
        prefixes = shelf.of()
        for seed in range(3):
            keep(prefixes, tokens_of(200, seed))
            shelf.settle()
        assert prefixes.source(tokens_of(200, 1), "", 0, ROOM) is not None
    assert len(caplog.records) == 1


def test_a_folder_has_one_process(tmp_path: Path) -> None:
    with library(tmp_path), pytest.raises(StateFileError, match="another process"):
        StateFolder(tmp_path)
    with library(tmp_path):
        pass
    assert not [one for one in threading.enumerate() if one.name == "kv-files"]
