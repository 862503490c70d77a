"""A vector store is a collection, a file in it a document: each is seen from both sides."""

from itertools import count

import pytest
from openai import NotFoundError

from tests.api.vector_stores.conftest import Shelf

numbers = count(1)


def documents(shelf: Shelf, collection: str) -> dict[str, dict[str, object]]:
    found = shelf.http.get("/v1/rag/documents", params={"collection": collection}).json()
    return {one["id"]: one for one in found["data"]}


def test_documents_are_files_of_a_store_that_nobody_made(shelf: Shelf) -> None:
    name = f"manuals-{next(numbers)}"
    body = {
        "collection": name,
        "documents": [
            {
                "id": "docs/lens.md",
                "text": "The heart of a lighthouse.",
                "title": "The lens",
                "metadata": {"year": 1822, "tags": ["light", "glass"]},
            },
            {"id": "plain", "text": "Nothing is known of this."},
        ],
    }
    assert shelf.http.post("/v1/rag/documents", json=body).is_success
    stores = shelf.sdk.vector_stores
    store = stores.retrieve(name)
    assert (store.name, store.created_at, store.expires_after) == (name, 0, None)
    assert store.file_counts.completed == store.file_counts.total == 2
    assert name in [one.id for one in stores.list(limit=100)]
    listed = {one.id: one for one in stores.files.list(name)}
    assert listed.keys() == {"docs/lens.md", "plain"}
    lens = listed["docs/lens.md"]
    assert (lens.status, lens.attributes) == ("completed", {"year": 1822})
    assert lens.to_dict()["chunking_strategy"] == {"type": "other"}
    # The SDK writes a slash into the path as it is, or as %2F: both are one path here.
    assert stores.files.retrieve("docs/lens.md", vector_store_id=name) == lens
    stores.files.update("docs/lens.md", vector_store_id=name, attributes={"year": 1823})
    kept = documents(shelf, name)["docs/lens.md"]["metadata"]
    assert kept == {"tags": ["light", "glass"], "year": 1823}
    assert stores.search(name, query="lighthouse").data[0].filename == "The lens"
    changed = stores.update(name, metadata={"a": "b"})
    assert (changed.name, changed.metadata) == (name, {"a": "b"})
    assert changed.created_at > 0
    assert stores.files.delete("plain", vector_store_id=name).deleted
    assert documents(shelf, name).keys() == {"docs/lens.md"}


def test_attached_file_is_a_document_with_its_name_and_attributes(shelf: Shelf) -> None:
    store = shelf.store()
    file = shelf.upload("Bread rises.", "bread.txt")
    shelf.sdk.vector_stores.files.create_and_poll(
        file, vector_store_id=store, attributes={"kind": "recipe"}
    )
    (document,) = documents(shelf, store).values()
    assert (document["id"], document["title"]) == (file, "bread.txt")
    assert document["metadata"] == {"filename": "bread.txt", "kind": "recipe"}
    found = shelf.http.post("/v1/rag/search", json={"query": "bread", "collection": store})
    assert found.json()["data"][0]["document_id"] == file


def test_what_is_deleted_on_one_side_is_gone_on_the_other(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = shelf.filled(a="The first page.", b="The second page.")
    first, second = (one.id for one in stores.files.list(store))
    shelf.http.delete(f"/v1/rag/documents/{first}", params={"collection": store})
    with pytest.raises(NotFoundError):
        stores.files.retrieve(first, vector_store_id=store)
    assert [one.id for one in stores.files.list(store)] == [second]
    assert stores.retrieve(store).file_counts.total == 1
    assert shelf.http.delete(f"/v1/rag/collections/{store}").is_success
    with pytest.raises(NotFoundError):
        stores.retrieve(store)
    # Another collection of that name has nothing of what was said of the first.
    assert shelf.http.post("/v1/rag/collections", json={"name": store}).is_success
    assert (stores.retrieve(store).name, stores.retrieve(store).created_at) == (store, 0)


def test_deleted_file_goes_out_of_every_store(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    file = shelf.upload("The only page.")
    both = [shelf.store(file_ids=[file]) for _ in range(2)]
    for store in both:
        shelf.settled(store, 1)
    shelf.sdk.files.delete(file)
    for store in both:
        assert stores.retrieve(store).file_counts.total == 0
        assert stores.search(store, query="page").data == []


def test_search_by_rag_moves_when_a_store_was_last_active(shelf: Shelf) -> None:
    store = shelf.filled(a="The first page.")
    before = shelf.sdk.vector_stores.retrieve(store).last_active_at
    assert before is not None
    # Seconds are whole on this wire, so it is asked until one has passed.
    for _ in range(400):
        body = {"query": "page", "collection": store}
        assert shelf.http.post("/v1/rag/search", json=body).is_success
        after = shelf.sdk.vector_stores.retrieve(store).last_active_at
        if after is not None and after > before:
            return
    raise AssertionError("it stayed as it was")
