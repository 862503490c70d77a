"""OpenAI's own helpers, which ask until a file has ended: create, upload, batches, pages."""

from io import BytesIO

import pytest
from openai import NotFoundError
from openai.types import StaticFileChunkingStrategyParam

from tests.api.vector_stores.conftest import Shelf

LENS = "The heart of a lighthouse is its lens. Fresnel built the first of his in 1822."
BREAD = "Sourdough bread rises by wild yeast. A starter is fed with flour and water."


def named(name: str, text: str) -> tuple[str, BytesIO]:
    return name, BytesIO(text.encode())


def test_file_is_attached_found_and_taken_out_again(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = stores.create(name="lights", metadata={"shelf": "3"})
    assert (store.status, store.name, store.metadata) == ("completed", "lights", {"shelf": "3"})
    file = shelf.upload(LENS, "lens.txt")
    attached = stores.files.create_and_poll(
        file_id=file, vector_store_id=store.id, attributes={"topic": "light", "year": 1822}
    )
    assert (attached.id, attached.status, attached.last_error) == (file, "completed", None)
    assert attached.attributes == {"topic": "light", "year": 1822}
    assert attached.usage_bytes > 0
    (hit,) = stores.search(store.id, query="Who built the lens of a lighthouse?").data
    assert (hit.file_id, hit.filename, hit.content[0].text) == (file, "lens.txt", LENS)
    assert hit.attributes == attached.attributes
    now = stores.retrieve(store.id)
    assert (now.file_counts.completed, now.file_counts.total) == (1, 1)
    assert now.usage_bytes == attached.usage_bytes
    assert stores.files.delete(file, vector_store_id=store.id).deleted
    with pytest.raises(NotFoundError):
        stores.files.retrieve(file, vector_store_id=store.id)
    assert shelf.sdk.files.retrieve(file).filename == "lens.txt"
    assert stores.delete(store.id).deleted
    with pytest.raises(NotFoundError, match="not found"):
        stores.retrieve(store.id)


def test_uploads_are_polled_alone_and_in_batches(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = stores.create()
    alone = stores.files.upload_and_poll(vector_store_id=store.id, file=named("a.txt", LENS))
    assert (alone.status, alone.last_error) == ("completed", None)
    batch = stores.file_batches.upload_and_poll(
        store.id, files=[named(f"{n}.txt", f"{BREAD} Loaf {n}.") for n in range(7)]
    )
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == (
        *("completed", 7, 7),
    )
    more = [shelf.upload(f"Page {n}", f"page-{n}.md") for n in range(3)]
    batch = stores.file_batches.create_and_poll(
        store.id, file_ids=more, attributes={"kind": "page"}
    )
    assert batch.file_counts.completed == 3
    listed = stores.file_batches.list_files(batch.id, vector_store_id=store.id)
    assert {one.id for one in listed} == set(more)
    assert all(one.attributes == {"kind": "page"} for one in listed)
    assert stores.retrieve(store.id).file_counts.completed == 11


def test_each_file_of_a_batch_has_its_own_attributes_and_chunks(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = stores.create(
        chunking_strategy={
            "type": "static",
            "static": {"max_chunk_size_tokens": 300, "chunk_overlap_tokens": 0},
        }
    )
    text = " ".join(f"Sentence number {n} has some words." for n in range(200))
    first, second = shelf.upload(text), shelf.upload(text)
    sizes: StaticFileChunkingStrategyParam = {
        "max_chunk_size_tokens": 100,
        "chunk_overlap_tokens": 50,
    }
    batch = stores.file_batches.create_and_poll(
        store.id,
        files=[
            {"file_id": first, "attributes": {"n": 1.5}},
            {
                "file_id": second,
                "attributes": {"n": 2, "ready": True},
                "chunking_strategy": {"type": "static", "static": sizes},
            },
        ],
    )
    assert batch.file_counts.completed == 2
    whole = stores.files.retrieve(first, vector_store_id=store.id)
    fine = stores.files.retrieve(second, vector_store_id=store.id)
    assert (whole.attributes, fine.attributes) == ({"n": 1.5}, {"n": 2, "ready": True})
    cut = [one.to_dict()["chunking_strategy"] for one in (whole, fine)]
    coarse = {"max_chunk_size_tokens": 300, "chunk_overlap_tokens": 0}
    assert cut == [{"type": "static", "static": one} for one in (coarse, sizes)]
    chunks = {
        id: shelf.http.get(f"/v1/rag/documents/{id}", params={"collection": store.id}).json()
        for id in (first, second)
    }
    # 1,200 words of one token each: 4 chunks of 300, or 100 at a time, 50 of them new.
    assert chunks[first]["chunks"] in range(4, 6)
    assert chunks[second]["chunks"] in range(18, 26)


def test_stores_and_files_are_paged_in_both_directions(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    made = [stores.create(name=f"page {n}").id for n in range(3)]
    newest = [one.id for one in stores.list(limit=2)]  # all pages
    assert [id for id in newest if id in made] == made[::-1]
    oldest = [one.id for one in stores.list(limit=2, order="asc")]
    assert oldest == newest[::-1]
    back = stores.list(limit=1, before=newest[2]).data
    assert [one.id for one in back] == [newest[1]]
    store = shelf.filled(a=LENS, b=BREAD, c="Rivers end in the sea.")
    files = [one.id for one in stores.files.list(store, limit=1, order="asc")]
    assert [one.id for one in stores.files.list(store, limit=2)] == files[::-1]
    assert len(set(files)) == 3
    assert not list(stores.files.list(store, filter="failed"))
    assert len(list(stores.files.list(store, filter="completed"))) == 3


def test_attributes_are_replaced_and_filtered_by(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = shelf.filled(lens=LENS, bread=BREAD)
    ids = {one.to_dict()["filename"]: one.id for one in stores.files.list(store)}
    changed = stores.files.update(
        ids["lens.txt"], vector_store_id=store, attributes={"year": 1822, "lit": True}
    )
    assert changed.attributes == {"year": 1822, "lit": True}
    stores.files.update(ids["bread.txt"], vector_store_id=store, attributes={"year": 1990})
    found = stores.search(
        store, query="lens bread", filters={"type": "lt", "key": "year", "value": 1900}
    ).data
    assert [one.filename for one in found] == ["lens.txt"]
    found = stores.search(
        store,
        query=["lens", "bread"],
        filters={
            "type": "or",
            "filters": [
                {"type": "eq", "key": "lit", "value": True},
                {
                    "type": "and",
                    "filters": [
                        {"type": "gte", "key": "year", "value": 1990},
                        {"type": "in", "key": "year", "value": [1990, 1991]},
                    ],
                },
            ],
        },
    ).data
    assert {one.filename for one in found} == {"lens.txt", "bread.txt"}
    stores.files.update(ids["lens.txt"], vector_store_id=store, attributes={})
    assert not stores.files.retrieve(ids["lens.txt"], vector_store_id=store).attributes


def test_text_of_a_file_is_read_and_results_point_into_it(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = shelf.filled(page="# Light\n\nThe lens.\n\n# Bread\n\nThe starter.")
    (file,) = stores.files.list(store)
    (part,) = stores.files.content(file.id, vector_store_id=store)
    body = {"query": "The starter", "max_num_results": 1}
    (hit,) = shelf.http.post(f"/v1/vector_stores/{store}/search", json=body).json()["data"]
    start, end = hit["span"]["start"], hit["span"]["end"]
    assert (part.text or "")[start:end] == hit["content"][0]["text"]


def test_store_is_renamed_and_its_expiry_set_and_lifted(shelf: Shelf) -> None:
    stores = shelf.sdk.vector_stores
    store = stores.create(expires_after={"anchor": "last_active_at", "days": 7}, name="old")
    assert store.expires_at is not None
    assert store.last_active_at is not None
    assert store.expires_at - store.last_active_at == 7 * 86_400
    changed = stores.update(store.id, name="new", metadata={"a": "b"})
    assert (changed.name, changed.metadata) == ("new", {"a": "b"})
    assert changed.expires_after is not None
    lifted = stores.update(store.id, expires_after=None)
    assert (lifted.name, lifted.expires_after, lifted.expires_at) == ("new", None, None)
