"""The file of keys: what is in it, what is refused, and how it changes."""

import json
import logging
import os
import threading
from datetime import date
from pathlib import Path

import pytest

from llm_api.config.keys_file import (
    KeyEntry,
    WatchedKeys,
    add_key,
    hash_text,
    read_keys,
    remove_key,
    write_keys,
)
from llm_api.config.settings import ConfigurationError
from llm_api.core.access.keys import USER_SCOPES, Limits, digest_of
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.rights import EVERY_DOCUMENT

HASH = hash_text(digest_of("sk-a"))
FULL = f"""
keys:
  - name: alice
    hash: {HASH}
    scopes: [generate, admin]
    models: [small]
    requests_per_minute: 60
    tokens_per_minute: 10000
    tokens_per_day: 100000
    concurrency: 4
    created: 2026-01-31
  - {{name: bob, hash: {HASH}}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def test_an_entry_says_what_its_key_may_do(path: Path) -> None:
    path.write_text(FULL)
    alice, bob = (entry.key(Limits()) for entry in read_keys(path))
    assert (alice.name, alice.digest) == ("alice", digest_of("sk-a"))
    assert alice.scopes == {"generate", "admin"}
    assert alice.models == frozenset({"small"})
    assert alice.limits == Limits(60, 10_000, 100_000, 4)
    assert (bob.scopes, bob.models, bob.limits) == (USER_SCOPES, None, Limits())


def test_an_entry_says_which_documents_its_key_reaches(path: Path) -> None:
    given: dict[str, object] = {
        "collections": {"red-*": "write", "*": "read"},
        "filter": {"team": "red", "or": [{"reviewer": None}, {"year": {"gte": 2020}}]},
    }
    add_key(path, name="red", hash=HASH, **given)
    add_key(path, name="all", hash=HASH)
    red, everything = (entry.key(Limits()).documents for entry in read_keys(path))
    assert red.collections == given["collections"]
    assert red.filter == parse_filter(given["filter"])
    assert everything == EVERY_DOCUMENT


def test_limits_that_an_entry_does_not_say_are_the_defaults(path: Path) -> None:
    path.write_text(f"keys: [{{name: a, hash: '{HASH}', concurrency: 2}}]")
    [entry] = read_keys(path)
    assert entry.key(Limits(1, 2, 3, 4)).limits == Limits(1, 2, 3, 2)


def test_the_file_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, name="alice", hash=HASH, created=date(2026, 1, 31))
    data = json.loads(path.read_text())
    assert data["keys"][0]["created"] == "2026-01-31"
    assert [entry.name for entry in read_keys(path)] == ["alice"]


@pytest.mark.parametrize("text", ["", "keys: []", "{}"])
def test_a_file_may_hold_no_key(path: Path, text: str) -> None:
    path.write_text(text)
    assert read_keys(path) == ()


ENTRY = f"name: a, hash: '{HASH}'"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "must be a mapping of keys"),
        ("keys: 1", "keys: must be a list"),
        ("keys: [1]", "keys[0]: must be a mapping of keys"),
        ("users: []", "users: unknown key"),
        (f"keys: [{{hash: '{HASH}'}}]", "keys[0].name: must be given"),
        ("keys: [{name: a}]", "keys[0].hash: must be given"),
        (f"keys: [{{{ENTRY}, key: x}}]", "keys[0].key: unknown key"),
        (
            f"keys: [{{name: Alice, hash: '{HASH}'}}]",
            "keys[0].name: must be up to 64 of a-z, 0-9 and ._-, the first a letter or a digit",
        ),
        (
            "keys: [{name: a, hash: sk-secret}]",
            (
                "keys[0].hash: must be sha256: and 64 hexadecimal digits, as `llm-api keys create`"
                " writes it"
            ),
        ),
        (
            f"keys: [{{{ENTRY}, scopes: [root]}}]",
            "keys[0].scopes[0]: must be a list of admin, embed, functions, generate, rag",
        ),
        (
            f"keys: [{{{ENTRY}, collections: {{}}}}]",
            (
                "keys[0].collections: must map names of collections, or patterns such as team-*, to"
                " read or write"
            ),
        ),
        (
            f"keys: [{{{ENTRY}, filter: {{team: {{like: x}}}}}}]",
            (
                "keys[0].filter: There is no operator 'like'; there are eq, gt, gte, in, lt, lte,"
                " ne, nin."
            ),
        ),
        (f"keys: [{{{ENTRY}, models: []}}]", "keys[0].models: must be a list of names of models"),
        (
            f"keys: [{{{ENTRY}, concurrency: 0}}]",
            "keys[0].concurrency: must be a whole number, at least 1",
        ),
        (f"keys: [{{{ENTRY}}}, {{{ENTRY}}}]", "keys[1].name: 'a' is there already"),
        ("keys: [", "line 1: expected the node content, but found '<stream end>'"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(path: Path, text: str, complaint: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_keys(path)
    assert str(caught.value) == f"keys.yaml: {complaint}"


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        WatchedKeys(path, Limits())


def test_a_key_is_added_once_and_removed(path: Path) -> None:
    add_key(path, name="alice", hash=HASH, scopes=None, models=["small"], concurrency=2)
    add_key(path, name="bob", hash=HASH)
    with pytest.raises(ConfigurationError, match="a key 'bob' is there already"):
        add_key(path, name="bob", hash=HASH)
    before = read_keys(path)
    assert before[0] == KeyEntry(name="alice", hash=HASH, models=("small",), concurrency=2)
    remove_key(path, "alice")
    assert read_keys(path) == before[1:]
    with pytest.raises(ConfigurationError, match="there is no key 'alice'"):
        remove_key(path, "alice")


def test_only_its_owner_may_read_what_is_written(path: Path) -> None:
    path.touch(mode=0o644)
    add_key(path, name="alice", hash=HASH)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_stays_as_it_was(path: Path) -> None:
    write_keys(path, ())
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_keys(path / "below", ())
    assert path.read_bytes() == before


def test_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.yaml", tmp_path / "link.yaml"
    target.touch()
    link.symlink_to(target)
    add_key(link, name="alice", hash=HASH)
    assert link.is_symlink()
    assert len(read_keys(target)) == 1


def test_keys_made_at_the_same_time_are_all_kept(path: Path) -> None:
    names = [f"key-{number}" for number in range(8)]
    threads = [
        threading.Thread(target=add_key, args=(path,), kwargs={"name": name, "hash": HASH})
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.name for entry in read_keys(path)) == names


def test_a_change_of_the_file_is_seen_at_once(path: Path) -> None:
    add_key(path, name="alice", hash=HASH)
    watched = WatchedKeys(path, Limits())
    assert [key.name for key in watched()] == ["alice"]
    assert watched() is watched()
    add_key(path, name="bob", hash=HASH)
    assert [key.name for key in watched()] == ["alice", "bob"]
    remove_key(path, "alice")
    assert [key.name for key in watched()] == ["bob"]


def test_a_file_that_becomes_bad_changes_nothing_and_is_told_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_key(path, name="alice", hash=HASH)
    watched = WatchedKeys(path, Limits())
    with caplog.at_level(logging.ERROR):
        for spoil in (
            lambda: path.write_text("keys: [{name: alice, hash: sk-secret}]"),
            lambda: path.write_text(""),  # as a writer leaves it that is not done yet
            path.unlink,
        ):
            spoil()
            assert [key.name for key in watched()] == ["alice"]
            assert [key.name for key in watched()] == ["alice"]
    assert caplog.text.count("the keys stay as they were") == 3
    assert "sk-secret" not in caplog.text
    add_key(path, name="bob", hash=HASH)
    assert [key.name for key in watched()] == ["bob"]


def test_the_last_key_can_be_removed(path: Path) -> None:
    add_key(path, name="alice", hash=HASH)
    watched = WatchedKeys(path, Limits())
    remove_key(path, "alice")
    assert watched() == ()


def test_a_file_of_the_same_size_and_date_in_its_place_is_seen(path: Path) -> None:
    add_key(path, name="alice", hash=HASH)
    watched, found = WatchedKeys(path, Limits()), path.stat()
    write_keys(path, [KeyEntry(name="malet", hash=HASH)])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert [key.name for key in watched()] == ["malet"]
