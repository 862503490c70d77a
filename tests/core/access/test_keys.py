import re

import pytest

from llm_api.core.access.keys import ApiKey, Keyring, digest_of, new_secret


def key(name: str, secret: str) -> ApiKey:
    return ApiKey(name, digest_of(secret))


def test_a_key_is_found_by_its_secret_alone() -> None:
    alice, bob = key("alice", "sk-a"), key("bob", "sk-b")
    keyring = Keyring([alice, bob])
    assert keyring.find("sk-a") is alice
    assert keyring.find("sk-b") is bob
    for wrong in ("", "sk-", "sk-c", "SK-A", "sk-a ", "alice", alice.digest, "ключ"):
        assert keyring.find(wrong) is None


def test_keys_whose_hashes_begin_alike_are_told_apart() -> None:
    digest = digest_of("sk-a")
    others = [ApiKey(str(i), digest[:8] + f"{i:056x}") for i in range(3)]
    alice = key("alice", "sk-a")
    assert Keyring([*others, alice]).find("sk-a") is alice
    assert Keyring(others).find("sk-a") is None


def test_keys_that_are_loaded_hold_until_others_are() -> None:
    alice, bob = key("alice", "sk-a"), key("bob", "sk-b")
    loaded: list[tuple[ApiKey, ...]] = [(alice,)]
    keyring = Keyring([bob], lambda: loaded[-1])
    assert keyring.find("sk-a") is alice
    loaded.append(())
    assert keyring.find("sk-a") is None
    assert keyring.find("sk-b") is bob


def test_new_keys_are_long_distinct_and_fit_into_a_header() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(r"sk-llm-[A-Za-z0-9_-]{43}", secret) for secret in secrets)


@pytest.mark.parametrize("shown", [repr, str])
def test_a_key_that_is_printed_shows_no_hash(shown: type) -> None:
    assert digest_of("sk-a") not in shown(key("alice", "sk-a"))
