"""`llm-api cache`: what is on disk, and that it can be deleted."""

import json
from pathlib import Path

from llm_api.core.access.keys import SCOPES
from llm_api.core.llm.prefix_cache import state_file
from llm_api.core.llm.prefix_cache.model_prefixes import ModelPrefixes
from llm_api.core.llm.prefix_cache.prefix_cache import CacheLimits, PrefixCache
from scripts.bench.process import free_port
from tests.api.keyed import api_key, keyed_app
from tests.cli.command import llm_api
from tests.core.llm.prefix_cache.states import keep, stored_of, tokens_of
from tests.fakes import FakeServices
from tests.live import live_server


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

    port = str(free_port())  # where no server runs
    as_json = llm_api(tmp_path, "cache", "list", "--json", KV_CACHE_DIR="kv", PORT=port)
    sizes = {(one["key"], one["tokens"], one["bytes"]) for one in json.loads(as_json.stdout)}
    assert sizes == {("alice", 100, 2000), ("bob", 100, 2000)}

    cleared = llm_api(tmp_path, "cache", "clear", "--dir", "kv", "--key", "bob", "--json")
    assert json.loads(cleared.stdout)["deleted"] == 1
    assert len(state_file.files_of(folder)) == 1
    assert llm_api(tmp_path, "cache", "clear", "--dir", "kv").returncode == 0
    assert state_file.files_of(folder) == []


def test_a_running_server_is_asked_for_what_is_in_its_memory(
    tmp_path: Path, services: FakeServices
) -> None:
    services.prefix_cache = PrefixCache(CacheLimits(10_000))
    prefixes = ModelPrefixes(services.prefix_cache, "0123456789", 1000)
    for seed, key in enumerate(("alice", "bob")):
        keep(prefixes, tokens_of(100, seed), 2000, key)
    app = keyed_app(services, api_key(name="root", secret="x", scopes=SCOPES))
    with live_server(app) as url:
        server = ("--url", url, "--api-key", "x", "--json")
        listed = llm_api(tmp_path, "cache", "list", *server)
        cleared = llm_api(tmp_path, "cache", "clear", "--key", "bob", *server)
        refused = llm_api(tmp_path, "cache", "list", "--url", url)
    shown = [(one["key"], one["model"], one["where"]) for one in json.loads(listed.stdout)]
    assert sorted(shown) == [("alice", "01234567", ["ram"]), ("bob", "01234567", ["ram"])]
    assert json.loads(cleared.stdout) == {"deleted": 1, "bytes": 2000}
    assert [one.owner for one in services.prefix_cache.index] == ["alice"]
    assert refused.returncode == 1


def test_without_a_folder_it_says_what_to_do(tmp_path: Path) -> None:
    done = llm_api(tmp_path, "cache", "list", PORT=str(free_port()))
    assert done.returncode == 2
    assert "KV_CACHE_DIR" in done.stderr
