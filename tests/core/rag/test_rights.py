"""Rights to documents: which collections, which documents, and what a document is stored as."""

import pytest

from llm_api.core.access.keys import ApiKey
from llm_api.core.errors import CollectionNotFoundError, PermissionDeniedError
from llm_api.core.rag.filters import parse_filter
from llm_api.core.rag.rights import EVERY_DOCUMENT, DocumentRights
from llm_api.core.rag.types import Document, Metadata

TEAM = {"team": "red"}
RED = DocumentRights({"red-*": "write", "shared": "read", "shared-*": "read"})


def filtered(filter: object) -> DocumentRights:
    return DocumentRights(filter=parse_filter(filter))


@pytest.mark.parametrize(
    ("collection", "reads", "writes"),
    [
        ("red-", True, True),
        ("red-notes", True, True),
        ("shared", True, False),
        ("shared-x", True, False),
        ("red", False, False),
        ("Red-notes", False, False),
        ("blue-red-notes", False, False),
        ("", False, False),
    ],
)
def test_a_collection_is_read_and_written_by_its_name(
    collection: str, reads: bool, writes: bool
) -> None:
    assert (RED.may_read(collection), RED.may_write(collection)) == (reads, writes)
    assert EVERY_DOCUMENT.may_write(collection)


def test_of_several_patterns_the_one_with_most_rights_holds() -> None:
    for rights in ({"a*": "read", "ab": "write"}, {"ab": "write", "a*": "read"}):
        assert DocumentRights(rights).may_write("ab")  # type: ignore[arg-type]


def test_what_may_not_be_read_is_not_there_and_what_may_not_be_written_is_forbidden() -> None:
    RED.require_read("shared")
    with pytest.raises(CollectionNotFoundError, match="There is no collection 'blue'"):
        RED.require_read("blue")
    for name in ("shared", "blue"):
        with pytest.raises(PermissionDeniedError, match=f"may not write .* '{name}'"):
            RED.require_write(name)


def test_how_a_collection_is_searched_is_said_by_who_may_change_all_of_it() -> None:
    RED.require_choice("red-notes")
    with pytest.raises(CollectionNotFoundError):
        RED.require_choice("blue")
    with pytest.raises(PermissionDeniedError, match="may not write"):
        RED.require_choice("shared")
    with pytest.raises(PermissionDeniedError, match="may not say how a collection is searched"):
        filtered(TEAM).require_choice("red-notes")


@pytest.mark.parametrize(
    ("filter", "given", "stored"),
    [
        ({"team": "red"}, {}, {"team": "red"}),
        ({"team": "red"}, {"team": None}, {"team": "red"}),
        ({"team": "red"}, {"year": 2}, {"year": 2, "team": "red"}),
        ({"team": "red"}, {"team": ["red"]}, {"team": ["red"]}),
        ({"year": 1}, {"year": 1.0}, {"year": 1.0}),
        ({"and": [{"team": "red"}, {"year": 1}]}, {"year": 1}, {"year": 1, "team": "red"}),
        ({"team": "red", "year": {"gt": 1}}, {"year": 2}, {"year": 2, "team": "red"}),
        ({"team": {"in": ["red"]}}, {"team": "red"}, {"team": "red"}),
        ({"secret": {"ne": True}}, {}, {}),
    ],
)
def test_what_a_filter_asks_for_by_equality_is_put_in_where_it_is_not_said(
    filter: object, given: Metadata, stored: Metadata
) -> None:
    document = Document("a", "x", metadata=given)
    assert filtered(filter).admitted(document).metadata == stored


@pytest.mark.parametrize(
    ("filter", "given"),
    [
        ({"team": "red"}, {"team": "blue"}),
        ({"team": "red"}, {"team": []}),
        ({"team": "red"}, {"team": ["red", "blue"]}),
        ({"team": {"in": ["red"]}}, {}),
        ({"or": [{"team": "red"}, {"team": "rose"}]}, {}),
        ({"secret": {"ne": True}}, {"secret": True}),
        ({"and": [{"team": "red"}, {"team": "rose"}]}, {}),
    ],
)
def test_metadata_that_do_not_fulfil_the_filter_are_refused(
    filter: object, given: Metadata
) -> None:
    with pytest.raises(PermissionDeniedError, match="whose metadata fulfil its filter"):
        filtered(filter).marked(given)


def test_what_is_kept_for_a_key_is_shared_under_the_same_rights_alone() -> None:
    assert ApiKey("alice", "").sharing_scope == "alice"
    scopes = {ApiKey("alice", "", documents=one).sharing_scope for one in (RED, filtered(TEAM))}
    assert len(scopes | {"alice"}) == 3
    assert ApiKey("bob", "", documents=RED).sharing_scope not in scopes


def test_the_digest_stands_for_the_rights() -> None:
    same = DocumentRights({"shared-*": "read", "shared": "read", "red-*": "write"})
    others = [
        EVERY_DOCUMENT,
        RED,
        DocumentRights({"red-*": "read", "shared": "read", "shared-*": "read"}),
        filtered({"team": "red"}),
        filtered({"team": "blue"}),
    ]
    assert RED.digest == same.digest
    assert EVERY_DOCUMENT.digest == ""
    assert len({one.digest for one in others}) == len(others)
    assert (RED.sight, EVERY_DOCUMENT.sight) == ("", "")
    assert filtered({"team": "red"}).sight != filtered({"team": "blue"}).sight
