"""`llm-api keys`: a key is shown once, and a running server knows it at once."""

import json
from pathlib import Path

import pytest

from llm_api.config.keys_file import read_keys
from llm_api.core.access.keys import digest_of
from tests.cli.command import llm_api


def test_a_key_is_shown_once_kept_as_a_hash_and_revoked(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    made = llm_api(
        tmp_path,
        *("keys", "create", "alice", "--scope", "generate", "--scope", "embed", "--model", "small"),
        *("--requests-per-minute", "60", "--tokens-per-day", "1000", "--concurrency", "2"),
        API_KEYS_FILE="keys.yaml",
    )
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    assert secret.startswith("sk-llm-")
    assert "the only time it is shown" in made.stderr
    [entry] = read_keys(file)
    assert entry.hash == f"sha256:{digest_of(secret)}"
    assert entry.created is not None
    assert secret not in file.read_text()

    listed = llm_api(tmp_path, "keys", "list", "--file", "keys.yaml")
    assert listed.returncode == 0
    for shown in (
        "alice",
        "generate embed",
        "small",
        "60 requests/min, 1000 tokens/day, 2 at once",
    ):
        assert shown in listed.stdout
    assert secret not in listed.stdout
    assert digest_of(secret) not in listed.stdout

    told = llm_api(tmp_path, "keys", "show", "alice", "--json", "--file", "keys.yaml")
    facts = json.loads(told.stdout)
    assert (facts["name"], facts["scopes"]) == ("alice", ["generate", "embed"])
    assert "hash" not in facts

    revoked = llm_api(tmp_path, "keys", "revoke", "alice", "--file", "keys.yaml")
    assert (revoked.returncode, revoked.stdout) == (0, "")
    assert read_keys(file) == ()


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["create", "alice"], 2, "set API_KEYS_FILE"),
        (["create", "Alice", "--file", "k.yaml"], 2, "Error: name: must be up to 64 of a-z"),
        (["create", "a", "--scope", "root", "--file", "k.yaml"], 2, "Error: scopes[0]: must be"),
        (["create", "a", "--filter", "{", "--file", "k.yaml"], 2, "--filter is no JSON"),
        (
            ["create", "a", "--collection", "x:own", "--file", "k.yaml"],
            2,
            "x: must map",
        ),
        (["revoke", "alice", "--file", "k.yaml"], 2, "k.yaml: cannot be read: No such file"),
        (["show", "alice", "--file", "k.yaml"], 2, "k.yaml: cannot be read: No such file"),
        (["list", "--file", "k.yaml"], 2, "k.yaml: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], status: int, complaint: str
) -> None:
    done = llm_api(tmp_path, "keys", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert complaint in done.stderr
    assert not (tmp_path / "k.yaml").exists()


def test_rights_to_documents_are_kept_and_shown(tmp_path: Path) -> None:
    made = llm_api(
        tmp_path,
        *("keys", "create", "red", "--file", "k.yaml", "--filter", '{"team": "red"}'),
        *("--collection", "red-*:write", "--collection", "manuals"),
    )
    assert made.returncode == 0, made.stderr
    [entry] = read_keys(tmp_path / "k.yaml")
    assert entry.collections == {"red-*": "write", "manuals": "read"}
    assert entry.filter == {"team": "red"}
    listed = llm_api(tmp_path, "keys", "list", "--file", "k.yaml", COLUMNS="200")
    assert 'red-*:write manuals:read where {"team": "red"}' in listed.stdout
