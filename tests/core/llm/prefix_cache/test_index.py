"""A hash finds, the tokens decide."""

import pytest

from llm_api.core.llm.prefix_cache import index as index_module
from llm_api.core.llm.prefix_cache.index import PrefixIndex
from llm_api.core.llm.prefix_cache.stored import StoredPrefix, as_tokens
from tests.core.llm.prefix_cache.states import stored_of, tokens_of


def longest(index: PrefixIndex, tokens: list[int], scope: str = "") -> tuple[StoredPrefix, int]:
    match = index.longest("model", scope, as_tokens(tokens), lambda stored, length: True)
    assert match is not None
    return match.stored, match.length


def test_the_longest_common_beginning_is_found_to_the_token() -> None:
    index = PrefixIndex()
    tokens = tokens_of(300)
    short, long = stored_of(tokens[:100]), stored_of([*tokens[:250], 9, 9, 9])
    index.add(short)
    index.add(long)
    assert longest(index, tokens) == (long, 250)
    index.remove(long)
    assert longest(index, tokens) == (short, 100)
    index.remove(short)
    assert index.longest("model", "", as_tokens(tokens), lambda *_: True) is None
    assert list(index) == []


def test_what_is_not_allowed_is_passed_over_for_a_shorter_one() -> None:
    index = PrefixIndex()
    tokens = tokens_of(300)
    whole, cut = stored_of(tokens[:100]), stored_of([*tokens[:250], 9, 9, 9])
    index.add(whole)
    index.add(cut)
    match = index.longest(
        "model", "", as_tokens(tokens), lambda stored, length: length == len(stored.tokens)
    )
    assert match is not None
    assert match.stored is whole


def test_another_scope_or_model_finds_nothing() -> None:
    index = PrefixIndex()
    tokens = as_tokens(tokens_of(100))
    index.add(stored_of(tokens_of(100), scope="key"))
    assert index.longest("model", "", tokens, lambda *_: True) is None
    assert index.longest("other", "key", tokens, lambda *_: True) is None
    assert index.longest("model", "key", tokens, lambda *_: True) is not None


def test_equal_hashes_of_other_tokens_give_nothing_of_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if somebody had found a collision of the hash."""
    monkeypatch.setattr(index_module, "block_hashes", lambda *_: iter([b"same"]))
    index = PrefixIndex()
    index.add(stored_of(tokens_of(100, seed=1), scope="key"))
    assert index.longest("model", "key", as_tokens(tokens_of(100, 2)), lambda *_: True) is None
    assert index.longest("model", "", as_tokens(tokens_of(100, 1)), lambda *_: True) is None
