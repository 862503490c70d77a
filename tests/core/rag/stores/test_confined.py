"""A store under limited rights, over every engine: the rest does not exist."""

from collections.abc import Awaitable

import pytest

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    InvalidRequestError,
    PermissionDeniedError,
)
from llm_api.core.rag.confined import ConfinedStore
from llm_api.core.rag.filters import EVERYTHING, parse_filter
from llm_api.core.rag.rights import DocumentRights
from llm_api.core.rag.vector_store import USUAL_WEIGHTS, TunedSearch, VectorStore
from tests.core.rag.stores.documents import MODEL, find, new_document, put

pytestmark = pytest.mark.asyncio(loop_scope="module")

RED, BLUE = {"team": "red"}, {"team": "blue"}


@pytest.fixture
def reds(store: VectorStore) -> VectorStore:
    """Every collection, and in it the documents of the team `red`."""
    return ConfinedStore(store, DocumentRights(filter=parse_filter(RED)))


async def filled(store: VectorStore, name: str) -> None:
    await put(
        store,
        name,
        new_document("r", "river one", metadata=RED),
        new_document("b", "river two", "river three", metadata=BLUE),
        new_document("n", "river four"),
    )


async def refused(call: Awaitable[object], error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        await call
    return str(caught.value)


async def test_what_does_not_match_the_filter_is_not_there(
    store: VectorStore, reds: VectorStore, name: str
) -> None:
    await filled(store, name)
    for mode in ("dense", "sparse", "hybrid"):
        hits = await find(reds, name, "river", mode=mode)
        assert [hit.chunk.document_id for hit in hits] == ["r"], mode
    assert await find(reds, name, where=BLUE) == ()
    page = await reds.list_documents(name, EVERYTHING, None, 1)
    assert ([one.id for one in page.documents], page.next_cursor) == (["r"], None)
    described = await reds.describe_collection(name)
    assert (described.documents, described.chunks) == (1, 1)
    assert described in await reds.list_collections()
    assert (await reds.read_document(name, "r")).metadata == RED
    assert [*await reds.get_documents(name, ["b", "r", "n", "x"])] == ["r"]
    for read in (reds.get_document, reds.read_document):
        said = [await refused(read(name, id), DocumentNotFoundError) for id in ("b", "n", "x")]
        assert said == [f"There is no document {id!r}." for id in ("b", "n", "x")]


async def test_tuning_of_a_collection_is_read_and_changed_by_who_may_do_that_to_all_of_it(
    store: VectorStore, reds: VectorStore, name: str
) -> None:
    await filled(store, name)
    tuned = TunedSearch("dense", USUAL_WEIGHTS, 0.2, 6, 0.1, 6, 40, 0.61, 0.55, tuned_at=9.0)
    await store.write_tuning(name, tuned)
    assert await reds.read_tuning(name) == tuned
    assert "has a filter" in await refused(reds.write_tuning(name, None), PermissionDeniedError)
    reader = ConfinedStore(store, DocumentRights({name: "read"}))
    assert await reader.read_tuning(name) == tuned
    await refused(reader.write_tuning(name, None), PermissionDeniedError)
    stranger = ConfinedStore(store, DocumentRights({"other": "write"}))
    await refused(stranger.read_tuning(name), CollectionNotFoundError)
    await refused(stranger.write_tuning(name, None), CollectionNotFoundError)
    assert await store.read_tuning(name) == tuned
    await ConfinedStore(store, DocumentRights({name: "write"})).write_tuning(name, None)
    assert await store.read_tuning(name) is None


async def test_what_does_not_match_the_filter_is_not_changed(
    store: VectorStore, reds: VectorStore, name: str
) -> None:
    await filled(store, name)
    before = await store.read_document(name, "b")
    await refused(reds.update_metadata(name, "b", RED), DocumentNotFoundError)
    taken = reds.replace_documents(name, MODEL.model, [new_document("b", "mine", metadata=RED)])
    assert "choose another one" in await refused(taken, InvalidRequestError)
    assert await reds.delete_documents(name, ["b", "n", "x"]) == 0
    assert await reds.delete_matching(name, parse_filter(BLUE)) == 0
    for call in (reds.delete_collection(name), reds.rename_collection(name, f"{name}-new")):
        assert "has a filter" in await refused(call, PermissionDeniedError)
    assert await store.read_document(name, "b") == before
    assert await reds.delete_matching(name, EVERYTHING) == 1
    assert (await store.describe_collection(name)).documents == 2


async def test_no_document_leaves_what_is_seen_or_comes_in(
    store: VectorStore, reds: VectorStore, name: str
) -> None:
    await filled(store, name)
    await refused(reds.update_metadata(name, "r", BLUE), PermissionDeniedError)
    changed = await reds.update_metadata(name, "r", {"year": 1}, "New title")
    assert (changed.metadata, changed.title) == ({"year": 1, **RED}, "New title")
    written = await put(reds, name, new_document("new", "river five"))
    assert written == ("created",)
    assert (await store.get_document(name, "new")).metadata == RED
    foreign = put(reds, name, new_document("other", "x", metadata=BLUE))
    await refused(foreign, PermissionDeniedError)
    assert await reds.delete_documents(name, ["new"]) == 1


async def test_a_collection_that_may_not_be_read_is_not_there(
    store: VectorStore, name: str
) -> None:
    await filled(store, name)
    others = ConfinedStore(store, DocumentRights({"other*": "write"}))

    def calls(collection: str) -> list[Awaitable[object]]:
        return [
            others.describe_collection(collection),
            others.delete_collection(collection),
            others.rename_collection(collection, "other"),
            others.delete_documents(collection, ["r"]),
            others.delete_matching(collection, EVERYTHING),
            others.get_document(collection, "r"),
            others.get_documents(collection, ["r"]),
            others.read_document(collection, "r"),
            others.list_documents(collection, EVERYTHING, None, 1),
            others.update_metadata(collection, "r", {}),
            find(others, collection),
        ]

    for theirs, nobodys in zip(calls(name), calls("other-x"), strict=True):
        said = await refused(theirs, CollectionNotFoundError)
        assert said == (await refused(nobodys, CollectionNotFoundError)).replace("other-x", name)
    assert name not in [one.name for one in await others.list_collections()]
    for made in (name, "nobodys"):
        await refused(others.create_collection(made, MODEL), PermissionDeniedError)
        ingest = others.replace_documents(made, MODEL.model, [new_document("a", "x")])
        await refused(ingest, PermissionDeniedError)
    assert (await store.describe_collection(name)).documents == 3


async def test_a_collection_that_may_be_read_is_not_changed(store: VectorStore, name: str) -> None:
    await filled(store, name)
    reader = ConfinedStore(store, DocumentRights({name: "read"}))
    assert len(await find(reader, name)) == 4
    assert (await reader.describe_collection(name)).documents == 3
    for call in (
        put(reader, name, new_document("a", "x")),
        reader.delete_collection(name),
        reader.rename_collection(name, f"{name}-new"),
        reader.delete_documents(name, ["r"]),
        reader.delete_matching(name, EVERYTHING),
        reader.update_metadata(name, "r", {}),
    ):
        assert "may not write" in await refused(call, PermissionDeniedError)
    assert (await store.describe_collection(name)).documents == 3
