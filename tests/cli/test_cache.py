"""`llm-api cache`: what is on disk, and that it can be deleted."""

import json
from pathlib import Path

from llm_api.core.llm.prefix_cache import state_file
from tests.cli.command import llm_api
from tests.core.llm.prefix_cache.states import stored_of, tokens_of


def test_prefixes_on_disk_are_listed_and_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "kv"
    for seed, scope in enumerate(("alice", "bob#documents")):
        stored = stored_of(tokens_of(100, seed), size=2000, scope=scope)
        assert stored.state is not None
        state_file.write(folder, stored, stored.state, lambda: None)

    listed = llm_api(tmp_path, "cache", "list", "--dir", "kv")
    assert listed.returncode == 0, listed.stderr
    assert "alice" in listed.stdout
    assert "bob" in listed.stdout

    as_json = llm_api(tmp_path, "cache", "list", "--json", KV_CACHE_DIR="kv")
    sizes = {(one["key"], one["tokens"], one["bytes"]) for one in json.loads(as_json.stdout)}
    assert sizes == {("alice", 100, 2000), ("bob", 100, 2000)}

    cleared = llm_api(tmp_path, "cache", "clear", "--dir", "kv", "--key", "bob", "--json")
    assert json.loads(cleared.stdout)["deleted"] == 1
    assert len(state_file.files_of(folder)) == 1
    assert llm_api(tmp_path, "cache", "clear", "--dir", "kv").returncode == 0
    assert state_file.files_of(folder) == []


def test_without_a_folder_it_says_what_to_do(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "cache", "list")
    assert done.returncode == 2
    assert "KV_CACHE_DIR" in done.stderr
