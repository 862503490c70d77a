"""Whose kept prefixes are deleted, and how much room they have."""

import pytest

from llm_api.api.policy import Access
from llm_api.assembly.prefixes import is_gone
from llm_api.core.access.keys import ApiKey, Keyring, digest_of
from llm_api.core.llm.files.memory import MOST_FOR_PREFIXES, room_for_prefixes
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE
from llm_api.core.rag.rights import DocumentRights

ALICE = ApiKey("alice", digest_of("secret"))


@pytest.mark.parametrize(
    ("scope", "gone"),
    [
        ("alice", False),
        ("revoked", True),
        ("alice#other rights", True),
        ("", True),
        (PINNED_SCOPE, False),
    ],
)
def test_prefixes_go_with_their_key(scope: str, gone: bool) -> None:
    access = Access(keyring=Keyring([ALICE]))
    assert is_gone(access, False, scope) == gone


@pytest.mark.parametrize(("is_public", "gone"), [(True, False), (False, True)])
def test_public_prefixes_are_nobody_s_and_stay_while_they_are_public(
    is_public: bool, gone: bool
) -> None:
    access = Access(keyring=Keyring([ALICE]))
    assert is_gone(access, is_public, "") == gone


def test_without_keys_everything_is_everybody_s() -> None:
    assert not is_gone(Access(), False, "")
    assert is_gone(Access(), False, "alice")


def test_a_key_that_reaches_other_documents_now_has_other_prefixes() -> None:
    limited = ApiKey("alice", digest_of("secret"), documents=DocumentRights({"team": "read"}))
    stored = limited.sharing_scope
    assert not is_gone(Access(keyring=Keyring([limited])), False, stored)
    assert is_gone(Access(keyring=Keyring([ALICE])), False, stored)


def test_room_is_a_quarter_of_what_the_models_leave() -> None:
    assert room_for_prefixes(10 * 10**9, 2 * 10**9) == 2 * 10**9
    assert room_for_prefixes(10**9, 2 * 10**9) == 0
    assert room_for_prefixes(10**12, 0) == MOST_FOR_PREFIXES
