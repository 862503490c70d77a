"""The file of keys as a running server changes it."""

import os
import threading
from pathlib import Path

import pytest

from llm_api.config.key_book import KeysFile
from llm_api.config.keys_file import WatchedKeys, read_keys
from llm_api.core.access.key_book import NO_FILE, KeyAdministration, KeyRecord
from llm_api.core.access.keys import USER_SCOPES, ApiKey, Keyring, Limits, Scope
from llm_api.core.errors import (
    KeyExistsError,
    KeyNotFoundError,
    KeysReadOnlyError,
    LastAdminKeyError,
    PermissionDeniedError,
)
from llm_api.core.rag.rights import DocumentRights

ROOT = ApiKey("root", "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.yaml"
    path.write_text("keys: []\n")
    return path


def text_of(path: Path) -> str:
    return path.read_text()


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def record(name: str, *scopes: Scope) -> KeyRecord:
    return KeyRecord(name, frozenset(scopes) or USER_SCOPES)


async def test_a_key_that_is_made_holds_at_once_and_its_file_is_its_owners_alone(
    path: Path,
) -> None:
    keyring = Keyring((), WatchedKeys(path, Limits()))
    keys = KeyAdministration(KeysFile(path))
    made = await keys.create(record("alice", "generate"), ROOT)
    found = keyring.find(made.secret)
    assert found is not None
    assert found.name == "alice"
    assert found.scopes == {"generate"}
    assert made.record.created is not None
    assert made.secret not in text_of(path)
    assert mode_of(path) == 0o600
    await keys.limit("alice", tokens_per_day=9)
    limited = keyring.named("alice")
    assert limited is not None
    assert limited.limits == Limits(tokens_per_day=9)
    await keys.create(record("bob", "admin"), ROOT)
    await keys.revoke("alice")
    assert keyring.find(made.secret) is None


async def test_limits_that_are_not_named_stay(path: Path) -> None:
    keys = KeyAdministration(KeysFile(path))
    await keys.create(KeyRecord("alice", limits=Limits(1, 2, 3, 4)), ROOT)
    changed = await keys.limit("alice", tokens_per_minute=None, concurrency=9)
    assert changed.limits == Limits(1, None, 3, 9)
    [entry] = read_keys(path)
    assert entry.key(Limits()).limits == Limits(1, None, 3, 9)


async def test_last_key_of_an_administrator_is_not_revoked(path: Path) -> None:
    keys = KeyAdministration(KeysFile(path))
    await keys.create(record("first", "admin"), ROOT)
    await keys.create(record("user"), ROOT)
    with pytest.raises(LastAdminKeyError, match="make another one first"):
        await keys.revoke("first")
    await keys.create(record("second", "admin"), ROOT)
    await keys.revoke("first")
    with pytest.raises(LastAdminKeyError):
        await keys.revoke("second")
    with_fixed = KeyAdministration(KeysFile(path), [ApiKey("API_KEY", "")])
    await with_fixed.revoke("second")
    assert [one.name for one in await with_fixed.all()] == ["API_KEY", "user"]


async def test_key_of_the_settings_is_shown_and_stays(path: Path) -> None:
    keys = KeyAdministration(KeysFile(path), [ApiKey("API_KEY", "")])
    assert (await keys.get("API_KEY")).origin == "settings"
    with pytest.raises(KeysReadOnlyError, match="settings"):
        await keys.revoke("API_KEY")
    with pytest.raises(KeysReadOnlyError, match="settings"):
        await keys.limit("API_KEY", concurrency=1)


async def test_what_cannot_be_is_refused_and_changes_nothing(path: Path) -> None:
    keys = KeyAdministration(KeysFile(path))
    await keys.create(record("alice", "admin"), ROOT)
    before = text_of(path)
    with pytest.raises(KeyExistsError):
        await keys.create(record("alice"), ROOT)
    with pytest.raises(KeyNotFoundError):
        await keys.limit("bob", concurrency=1)
    with pytest.raises(KeyNotFoundError):
        await keys.revoke("bob")
    assert text_of(path) == before


@pytest.mark.parametrize(
    ("maker", "made"),
    [
        (ApiKey("m", "", frozenset({"admin"})), record("a", "generate")),
        (ApiKey("m", "", models=frozenset({"small"})), record("a")),
        (ApiKey("m", "", models=frozenset({"small"})), KeyRecord("a", models=("large",))),
        (ApiKey("m", "", documents=DocumentRights({"red-*": "read"})), record("a", "rag")),
        (
            ApiKey("m", "", documents=DocumentRights({"red-*": "read"})),
            KeyRecord("a", collections={"red-*": "write"}),
        ),
    ],
)
async def test_nobody_gives_more_than_their_own_key_may(
    path: Path, maker: ApiKey, made: KeyRecord
) -> None:
    with pytest.raises(PermissionDeniedError):
        await KeyAdministration(KeysFile(path)).create(made, maker)
    assert read_keys(path) == ()


async def test_as_much_as_their_own_key_may_is_given(path: Path) -> None:
    documents = DocumentRights({"red-*": "read"})
    maker = ApiKey("m", "", models=frozenset({"small", "tiny"}), documents=documents)
    made = KeyRecord("a", models=("small",), collections={"red-*": "read"})
    await KeyAdministration(KeysFile(path)).create(made, maker)
    assert [entry.name for entry in read_keys(path)] == ["a"]


async def test_server_without_a_file_says_which_setting_is_missing() -> None:
    keys = KeyAdministration()
    assert (await keys.problem(), await keys.all()) == (NO_FILE, [])
    with pytest.raises(KeysReadOnlyError, match="API_KEYS_FILE"):
        await keys.create(record("a"), ROOT)


async def test_a_file_that_cannot_be_changed_says_so_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "keys.yaml"
    path.parent.mkdir()
    path.write_text("keys: 3\n")
    keys = KeyAdministration(KeysFile(path))
    problem = await keys.problem()
    assert problem is not None
    assert problem.startswith("keys.yaml: keys: must be a list")
    with pytest.raises(KeysReadOnlyError) as caught:
        await keys.create(record("a"), ROOT)
    assert "as they were" in caught.value.message
    assert str(tmp_path) not in caught.value.message
    assert path.read_text() == "keys: 3\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_a_folder_that_is_read_only_is_told_before_a_change(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        assert "read-only" in (await KeyAdministration(KeysFile(path)).problem() or "")
    finally:
        path.parent.chmod(0o700)


def test_of_changes_at_the_same_time_none_is_lost(path: Path) -> None:
    books = [KeysFile(path) for _ in range(4)]

    def make(number: int) -> None:
        for turn in range(3):
            books[number].add(record(f"key-{number}-{turn}"), f"{number}{turn}".rjust(64, "0"))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_keys(path)) == 12
