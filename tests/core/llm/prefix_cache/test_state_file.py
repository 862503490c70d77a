"""What is written is read again; anything else is refused."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from llm_api.core.llm.prefix_cache import state_file
from llm_api.core.llm.prefix_cache.state_file import StateFileError
from llm_api.core.llm.prefix_cache.stored import StoredPrefix
from tests.core.llm.prefix_cache.states import stored_of, tokens_of


def written(root: Path, stored: StoredPrefix) -> Path:
    assert stored.state is not None
    return state_file.write(root, stored, stored.state, lambda: None)


def test_a_prefix_is_read_as_it_was_written(tmp_path: Path) -> None:
    stored = stored_of(tokens_of(100), size=3_000_000, scope="key")
    path = written(tmp_path, stored)
    assert state_file.files_of(tmp_path) == [path]
    found = state_file.read_head(path)
    assert (found.fingerprint, found.scope, found.size) == ("model", "key", 3_000_000)
    assert found.tokens.tolist() == tokens_of(100)
    assert stored.state is not None
    assert np.array_equal(state_file.read_state(found, path), stored.state)


def test_only_this_user_may_read_it(tmp_path: Path) -> None:
    path = written(tmp_path / "kv", stored_of(tokens_of(100), scope="key"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "key" not in str(path.relative_to(tmp_path))


@pytest.mark.parametrize("place", [0, 20, 300, -5])
def test_a_damaged_byte_is_noticed(tmp_path: Path, place: int) -> None:
    stored = stored_of(tokens_of(100))
    path = written(tmp_path, stored)
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(StateFileError):
        state_file.read_state(state_file.read_head(path), path)


@pytest.mark.parametrize("length", [0, 10, 100, 400, -1])
def test_a_file_that_is_cut_off_is_refused_by_its_head(tmp_path: Path, length: int) -> None:
    path = written(tmp_path, stored_of(tokens_of(100)))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(StateFileError):
        state_file.read_head(path)


def test_a_file_that_now_holds_another_prefix_is_refused(tmp_path: Path) -> None:
    stored, other = stored_of(tokens_of(100)), stored_of(tokens_of(100, seed=1))
    path = written(tmp_path, stored)
    written(tmp_path, other).replace(path)
    with pytest.raises(StateFileError, match="another prefix"):
        state_file.read_state(stored, path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = written(tmp_path / "real", stored_of(tokens_of(100)))
    link = tmp_path / "link.kv"
    link.symlink_to(path)
    with pytest.raises(OSError, match="link"):
        state_file.read_head(link)
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    with pytest.raises(StateFileError, match="link"):
        state_file.make_folder(tmp_path / "folder")
    linked = tmp_path / "root"
    linked.mkdir()
    (linked / "owner").symlink_to(path.parent)
    assert state_file.files_of(linked) == []


def test_a_file_of_another_user_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, stored_of(tokens_of(100)))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StateFileError, match="another user"):
        state_file.read_head(path)
    with pytest.raises(StateFileError, match="another user"):
        state_file.make_folder(tmp_path)


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    stored = stored_of(tokens_of(100), size=3_000_000)
    assert stored.state is not None

    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        state_file.write(tmp_path, stored, stored.state, fail)
    assert state_file.files_of(tmp_path) == []


def test_the_folder_goes_with_its_last_file(tmp_path: Path) -> None:
    first = written(tmp_path, stored_of(tokens_of(100), scope="key"))
    second = written(tmp_path, stored_of(tokens_of(100, 1), scope="key"))
    state_file.remove(first)
    assert second.exists()
    state_file.remove(second)
    assert list(tmp_path.iterdir()) == []
    state_file.remove(second)  # gone already
