"""The embedded store over files that something else has happened to."""

import asyncio
import json
import logging
import os
import shutil
import signal
from pathlib import Path

import pytest

from llm_api.core.errors import CollectionDamagedError, CollectionNotFoundError
from llm_api.core.rag.stores import edge, edge_points, edge_sealing
from llm_api.core.rag.stores.document_store import DocumentStore
from llm_api.core.rag.stores.edge import open_edge
from llm_api.core.rag.stores.edge_process import open_edge_process
from llm_api.core.rag.stores.edge_worker import open_store
from llm_api.core.rag.stores.layout import CHUNKS
from llm_api.core.rag.stores.seal import SEAL
from llm_api.core.rag.vector_store import Collection, VectorStore
from scripts.damage_store import run
from tests.core.rag.stores.documents import MODEL, find, new_document, put
from tests.core.rag.stores.test_edge import subfolders, until

MANIFEST = "collections.json"


@pytest.fixture(scope="module")
def closed_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections that were closed: `a` with one document, `b` with two. Not to be changed."""
    folder = tmp_path_factory.mktemp("store")

    async def write() -> None:
        async with open_edge(folder, is_durable=True) as engine:
            store = DocumentStore(engine)
            await put(store, "a", new_document("x", "one"))
            await put(store, "b", new_document("x", "two"), new_document("y", "three"))

    asyncio.run(write())
    return folder


@pytest.fixture
def folder(closed_store: Path, tmp_path: Path) -> Path:
    """A copy of `closed_store` to be damaged."""
    shutil.copytree(closed_store, tmp_path, dirs_exist_ok=True, copy_function=copy_sparse)
    return tmp_path


def copy_sparse(source: str, target: str) -> None:
    """Copy a file with its holes: the engine's files are some 380 MB of them, and 1 MB of data."""
    with Path(source).open("rb") as old, Path(target).open("wb") as new:
        new.truncate(size := os.fstat(old.fileno()).st_size)
        end = 0
        while end < size:
            try:
                start = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:  # no data behind this
                return
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            os.pwrite(new.fileno(), os.pread(old.fileno(), end - start, start), start)


def place_of(folder: Path, documents: int) -> Path:
    """The subfolder of `a` or `b`, by what it says of itself."""
    name = {1: "a", 2: "b"}[documents]
    said = f'"name": "{name}"'
    (found,) = (one for one in subfolders(folder) if said in (one / "collection.json").read_text())
    return found


async def counts(store: VectorStore) -> dict[str, int | None]:
    return {one.name: one.documents for one in await store.list_collections()}


BOTH = {"a": 1, "b": 2}


# What a start reads


@pytest.mark.parametrize("content", [None, b"", b'{"a": {"subfo', b"[]", b"\0" * 300])
async def test_collections_are_found_again_without_their_list(
    folder: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    if content is None:
        (folder / MANIFEST).unlink()
    else:
        (folder / MANIFEST).write_bytes(content)
    async with open_store(folder) as store:
        assert await counts(store) == BOTH
        assert [hit.chunk.text for hit in await find(store, "a")] == ["one"]
    assert MANIFEST in caplog.text
    assert damaged_files(folder) == ([] if content is None else [content])


def damaged_files(folder: Path) -> list[bytes]:
    """What is kept of lists that could not be read."""
    return [one.read_bytes() for one in folder.glob(f"{MANIFEST}.damaged-*")]


async def test_list_with_a_flipped_bit_is_not_believed(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"tiny"', '"tinx"'))
    async with open_store(folder) as store:
        assert {one.embedding for one in await store.list_collections()} == {MODEL}


async def test_collection_that_has_lost_its_description_has_it_again(folder: Path) -> None:
    for place in subfolders(folder):
        (place / "collection.json").unlink()
    async with open_store(folder) as store:
        assert await counts(store) == BOTH
    (folder / MANIFEST).unlink()
    async with open_store(folder) as store:
        assert await counts(store) == BOTH


async def test_collection_that_nothing_describes_is_kept_under_a_name_of_its_own(
    folder: Path,
) -> None:
    (place_of(folder, 1) / "collection.json").unlink()
    (folder / MANIFEST).unlink()
    async with open_store(folder) as store:
        other, recovered = await store.list_collections()
        assert recovered.name.startswith("recovered-")
        assert (recovered.embedding.model, recovered.documents) == ("unknown", 1)
        assert (await store.read_document(recovered.name, "x")).text == "one"
        assert other.name == "b"


async def test_list_of_an_earlier_version_is_read_and_its_folders_are_described(
    folder: Path,
) -> None:
    place = place_of(folder, 1)
    (place / "collection.json").unlink()
    (place / SEAL).unlink()
    entry = {"subfolder": place.name, "embedding": {"model": "tiny", "dimension": 4}}
    (folder / MANIFEST).write_text(json.dumps({"old": entry}))
    async with open_store(folder) as store:
        listed = await store.list_collections()
    said = [(one.name, one.documents, one.word_rule) for one in listed]
    assert said == [("b", 2, 2), ("old", 1, 1)]
    assert '"name": "old"' in (place / "collection.json").read_text()


async def test_folder_that_is_no_collection_is_left_alone_and_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "file").write_bytes(b"x")
    async with open_store(folder) as store:
        assert await counts(store) == BOTH
    assert (folder / "mine" / "file").read_bytes() == b"x"
    assert "mine is no collection" in caplog.text


async def test_copy_of_a_collection_takes_nothing_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = place_of(folder, 2)
    shutil.copytree(place, folder / "copy")
    async with open_store(folder) as store:
        assert await counts(store) == BOTH
    assert (folder / "copy").is_dir()
    assert "copy says that it is the collection 'b'" in caplog.text


async def test_what_a_crash_left_unfinished_is_removed_unless_the_list_was_lost(
    folder: Path,
) -> None:
    stray = folder / "0123.stray"
    stray.mkdir()
    (stray / "disposable").touch()
    async with open_store(folder):
        assert not stray.exists()
    stray.mkdir()
    (stray / "disposable").touch()
    (folder / MANIFEST).unlink()
    for _ in range(2):
        async with open_store(folder) as store:
            assert await counts(store) == BOTH
        assert stray.exists()


async def test_collection_that_was_about_to_go_when_the_list_was_lost_is_there_again(
    folder: Path,
) -> None:
    (place_of(folder, 1) / "disposable").touch()
    (folder / MANIFEST).unlink()
    for _ in range(2):
        async with open_store(folder) as store:
            assert await counts(store) == BOTH


# A damaged collection


async def test_damaged_collection_is_said_to_be_and_leaves_the_others_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (mappings,) = place_of(folder, 1).rglob("mutable_id_tracker.mappings")
    good = mappings.read_bytes()
    mappings.write_bytes(good[:-5])
    async with open_store(folder) as store:
        a, b = await store.list_collections()
        assert a.damage is not None
        assert "mutable_id_tracker.mappings has" in a.damage
        assert (a.embedding, a.documents, a.chunks) == (MODEL, None, None)
        assert b == Collection("b", MODEL, 2, 2)
        assert len(await find(store, "b")) == 2
        for attempt in (
            find(store, "a"),
            put(store, "a", new_document("new", "new")),
            store.get_document("a", "x"),
            store.rename_collection("a", "c"),
        ):
            with pytest.raises(CollectionDamagedError, match="Put back"):
                await attempt
        assert await store.describe_collection("a") == a
        mappings.write_bytes(good)
        assert await counts(store) == BOTH
        assert [hit.chunk.text for hit in await find(store, "a")] == ["one"]
    assert "the collection 'a' is whole again" in caplog.text


async def test_damaged_collection_can_be_deleted_and_made_anew(folder: Path) -> None:
    place = place_of(folder, 1)
    (place / "edge_config.json").unlink()
    async with open_store(folder) as store:
        await store.delete_collection("a")
        assert not place.exists()
        with pytest.raises(CollectionNotFoundError):
            await find(store, "a")
        await put(store, "a", new_document("z", "again"))
    async with open_store(folder) as store:
        assert await counts(store) == BOTH


async def test_collection_that_is_deleted_while_it_is_looked_at_stays_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = place_of(folder, 1) / "edge_config.json"
    good = config.read_bytes()
    config.write_bytes(b"")
    examining, deleted = asyncio.Event(), asyncio.Event()

    async def slowly(*_: object) -> None:
        examining.set()
        await deleted.wait()

    async with open_edge(folder, is_durable=True) as engine:
        store = DocumentStore(engine)
        config.write_bytes(good)
        monkeypatch.setattr(edge, "_examine", slowly)
        looking = asyncio.create_task(store.describe_collection("a"))
        await examining.wait()
        await store.delete_collection("a")
        deleted.set()
        with pytest.raises(CollectionNotFoundError):
            await looking
        await put(store, "a", new_document("z", "again"))
        assert await counts(store) == BOTH


async def test_collection_whose_folder_is_gone_is_damaged_until_it_is_back(folder: Path) -> None:
    place = place_of(folder, 1)
    place.rename(folder.parent / "elsewhere")
    async with open_store(folder) as store:
        (a, _) = await store.list_collections()
        assert a.damage == f"its folder {place.name} is gone"
        (folder.parent / "elsewhere").rename(place)
        assert await counts(store) == BOTH


async def test_folder_that_an_old_list_does_not_know_is_a_collection_again(folder: Path) -> None:
    old = (folder / MANIFEST).read_bytes()
    async with open_store(folder) as store:
        await put(store, "c", new_document("x", "later"))
    (folder / MANIFEST).write_bytes(old)
    async with open_store(folder) as store:
        assert await counts(store) == BOTH | {"c": 1}


async def test_what_can_still_be_read_can_be_had_without_the_seal(folder: Path) -> None:
    place = place_of(folder, 2)
    for one in place.rglob("page_0.dat"):
        if "payload_index" in one.parts:
            one.write_bytes(b"\0" * one.stat().st_size)
    async with open_store(folder) as store:
        assert await counts(store) == {"a": 1, "b": None}
        (place / SEAL).unlink()
        assert await counts(store) == BOTH
        texts = {(await store.read_document("b", id_)).text for id_ in ("x", "y")}
        assert texts == {"two", "three"}


# Seals


async def test_collection_at_rest_is_sealed_and_a_write_breaks_the_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_sealing, "REST_SECONDS", 0.05)
    async with open_edge(tmp_path, is_durable=True) as engine:
        store = DocumentStore(engine)
        await put(store, "a", new_document("x", "one"))
        (place,) = subfolders(tmp_path)
        await until((place / SEAL).exists)
        monkeypatch.setattr(edge_sealing, "REST_SECONDS", 60)
        await put(store, "a", new_document("y", "two"))
        assert not (place / SEAL).exists()
    assert (place / SEAL).exists()


async def test_index_that_was_built_is_sealed_and_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_points, "INDEX_AFTER", 1)
    monkeypatch.setattr(edge_sealing, "REST_SECONDS", 0.05)
    async with open_edge(tmp_path, is_durable=True) as engine:
        await put(DocumentStore(engine), "a", new_document("x", "one"))
        await until(lambda: not engine.points("a").is_indexing)
        (place,) = subfolders(tmp_path)
        assert engine.points("a").folder == place
        await until((place / SEAL).exists)
    async with open_store(tmp_path) as store:
        assert await counts(store) == {"a": 1}
    assert not (place / "disposable").exists()


async def test_killed_store_is_read_through_and_only_what_is_broken_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_edge_process(tmp_path) as process:
        await put(process, "a", new_document("x", "one"))
        await put(process, "b", new_document("x", "two"), new_document("y", "three"))
        assert process.process_id is not None
        os.kill(process.process_id, signal.SIGKILL)
    (place_of(tmp_path, 1) / "wal" / "first-index").write_bytes(b"")
    async with open_store(tmp_path) as store:
        a, b = await store.list_collections()
        assert a.damage is not None
        assert str(tmp_path) not in a.damage
        assert (b.damage, b.documents) == (None, 2)
    assert "'b' has no seal" in caplog.text


async def test_document_that_is_not_whole_after_a_crash_is_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_edge(folder, is_durable=True) as engine:
        points = engine.points("b")
        found, _ = await points.scroll(CHUNKS, 10)
        await points.delete([id_ for id_, one in found.items() if one.payload["text"] == "three"])
    (place_of(folder, 2) / SEAL).unlink()
    caplog.set_level(logging.ERROR)
    async with open_store(folder) as store:
        assert await counts(store) == BOTH
        assert (await store.read_document("b", "x")).text == "two"
    assert "documents of the collection 'b' are damaged" in caplog.text
    assert "'y'" in caplog.text


async def test_random_damages_are_named_and_harm_nothing_else(tmp_path: Path) -> None:
    outcomes = await run(tmp_path, 4, seed=1)
    assert [one.problems for one in outcomes] == [[]] * 4
