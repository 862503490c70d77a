"""What every shape of the store does alike."""

import asyncio
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    EmbeddingMismatchError,
    InvalidRequestError,
)
from llm_api.core.rag.filters import EVERYTHING, parse_filter
from llm_api.core.rag.types import Metadata, Span, TextSection
from llm_api.core.rag.vector_store import (
    Collection,
    EmbeddingModel,
    HybridWeights,
    NewDocument,
    QueryVector,
    SearchMode,
    SearchQuery,
    TunedSearch,
    VectorStore,
)
from tests.core.rag.stores.documents import (
    EAST,
    MODEL,
    NORTH,
    UP,
    find,
    found_ids,
    new_document,
    put,
    vector,
)

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

# Collections


async def test_collection_remembers_its_embedding_and_counts(store: VectorStore, name: str) -> None:
    await put(store, name, new_document("a", "one", "two"), new_document("b", "three"))
    assert await store.describe_collection(name) == Collection(name, MODEL, 2, 3)
    assert name in [collection.name for collection in await store.list_collections()]


TUNED = TunedSearch("hybrid", HybridWeights(0.7, 0.3), 0.2, 6, 0.1, 6, 40, 0.61, 0.55, tuned_at=9.0)


async def test_tuning_stays_with_its_collection_until_it_is_forgotten(
    store: VectorStore, name: str
) -> None:
    await put(store, name, new_document("a", "one"))
    assert await store.read_tuning(name) is None
    await store.write_tuning(name, replace(TUNED, top_k=3))
    await store.write_tuning(name, TUNED)
    await store.rename_collection(name, f"{name}-new")
    assert await store.read_tuning(f"{name}-new") == TUNED
    described = await store.describe_collection(f"{name}-new")
    assert described == Collection(f"{name}-new", MODEL, 1, 1, tuned=TUNED)
    assert len((await store.list_documents(f"{name}-new", EVERYTHING, None, 10)).documents) == 1
    await store.write_tuning(f"{name}-new", None)
    assert await store.read_tuning(f"{name}-new") is None


async def test_tuning_goes_with_its_collection(store: VectorStore, name: str) -> None:
    await put(store, name, new_document("a", "one"))
    await store.write_tuning(name, TUNED)
    await store.delete_collection(name)
    with pytest.raises(CollectionNotFoundError):
        await store.read_tuning(name)
    with pytest.raises(CollectionNotFoundError):
        await store.write_tuning(name, TUNED)
    await store.create_collection(name, MODEL)
    assert await store.read_tuning(name) is None


async def test_creating_a_collection_again_changes_nothing(store: VectorStore, name: str) -> None:
    await put(store, name, new_document("a", "one"))
    await store.create_collection(name, MODEL)
    assert (await store.describe_collection(name)).documents == 1


async def test_collection_created_by_several_at_once_is_one(store: VectorStore, name: str) -> None:
    await asyncio.gather(*(put(store, name, new_document(f"d{n}", "text")) for n in range(3)))
    assert (await store.describe_collection(name)).documents == 3


@pytest.mark.parametrize("other", [EmbeddingModel("other", 4), EmbeddingModel("tiny", 8)])
async def test_other_embedding_is_refused_with_the_way_out(
    store: VectorStore, name: str, other: EmbeddingModel
) -> None:
    await put(store, name, new_document("a", "one"))
    long = np.ones(other.dimension, np.float32)
    query = SearchQuery("dense", 3, vector=QueryVector(other.model, long))
    with pytest.raises(EmbeddingMismatchError, match="`llm-api rag reindex`"):
        await store.create_collection(name, other)
    with pytest.raises(EmbeddingMismatchError, match="`llm-api rag reindex`"):
        await store.search(name, query)
    new = new_document("b", "two", vectors=(long,))
    with pytest.raises(EmbeddingMismatchError, match="`llm-api rag reindex`"):
        await store.replace_documents(name, other.model, [new])
    assert (await store.describe_collection(name)).documents == 1


async def test_missing_collection_is_said_to_be_missing(store: VectorStore, name: str) -> None:
    for attempt in (
        store.describe_collection(name),
        store.delete_collection(name),
        store.rename_collection(name, f"{name}-new"),
        store.replace_documents(name, "tiny", [new_document("a", "x")]),
        store.delete_documents(name, ["a"]),
        store.delete_matching(name, EVERYTHING),
        store.get_document(name, "a"),
        store.read_document(name, "a"),
        store.update_metadata(name, "a", {}),
        store.list_documents(name, EVERYTHING, None, 10),
        find(store, name),
        find(store, name, "word", mode="sparse"),
    ):
        with pytest.raises(CollectionNotFoundError):
            await attempt


@pytest.mark.parametrize("bad", ["", "a/b", "../x", "a b", "ä", "x" * 65, "a.b"])
async def test_odd_collection_name_is_refused(store: VectorStore, bad: str) -> None:
    with pytest.raises(InvalidRequestError):
        await store.create_collection(bad, MODEL)


async def test_list_that_is_made_while_a_collection_goes_has_the_others(
    store: VectorStore, name: str
) -> None:
    await put(store, name, new_document("a", "one"))
    for _ in range(3):
        await put(store, f"{name}-new", new_document("a", "one"))
        lists = [asyncio.create_task(store.list_collections()) for _ in range(4)]
        await store.delete_collection(f"{name}-new")
        for listed in await asyncio.gather(*lists):
            assert name in {one.name for one in listed}


async def test_deleted_collection_is_gone_and_can_be_made_anew(
    store: VectorStore, name: str
) -> None:
    await put(store, name, new_document("a", "one"))
    await store.delete_collection(name)
    with pytest.raises(CollectionNotFoundError):
        await store.describe_collection(name)
    await store.create_collection(name, EmbeddingModel("other", 8))
    assert await store.describe_collection(name) == Collection(
        name, EmbeddingModel("other", 8), 0, 0
    )


async def test_rebuilt_collection_takes_the_place_of_the_old_one(
    store: VectorStore, name: str
) -> None:
    rebuilt = f"{name}-new"
    await put(store, name, new_document("a", "old"), new_document("b", "old"))
    await store.create_collection(rebuilt, EmbeddingModel("other", 8))
    wide = np.ones(8, np.float32)
    await store.replace_documents(rebuilt, "other", [new_document("a", "new", vectors=(wide,))])
    await store.rename_collection(rebuilt, name)
    assert await store.describe_collection(name) == Collection(
        name, EmbeddingModel("other", 8), 1, 1
    )
    with pytest.raises(CollectionNotFoundError):
        await store.describe_collection(rebuilt)
    [hit] = await store.search(name, SearchQuery("dense", 3, vector=QueryVector("other", wide)))
    assert hit.chunk.text == "new"
    await store.create_collection(rebuilt, MODEL)  # and so again the next time
    await store.rename_collection(rebuilt, name)
    assert (await store.describe_collection(name)).embedding == MODEL


# Writing


async def test_document_again_changes_nothing(store: VectorStore, name: str) -> None:
    assert await put(store, name, new_document("a", "one", "two")) == ("created",)
    before = await store.get_document(name, "a")
    assert await put(store, name, new_document("a", "one", "two")) == ("unchanged",)
    assert await store.get_document(name, "a") == before
    assert (await store.describe_collection(name)).chunks == 2


async def test_changed_document_leaves_nothing_of_the_old_behind(
    store: VectorStore, name: str
) -> None:
    await put(store, name, new_document("a", "apple", "banana", "cherry"), new_document("b", "fig"))
    said = await put(store, name, new_document("a", "damson"), new_document("b", "fig"))
    assert said == ("replaced", "unchanged")
    assert {hit.chunk.text for hit in await find(store, name)} == {"damson", "fig"}
    assert await find(store, name, "banana", mode="sparse") == ()
    assert (await store.describe_collection(name)).chunks == 2
    assert (await store.read_document(name, "a")).text == "damson"


async def test_document_keeps_all_it_came_with(store: VectorStore, name: str) -> None:
    metadata: Metadata = {
        "source": "x",
        "n": 1,
        "ratio": 0.5,
        "ok": True,
        "tags": ["p", 2],
        "none": None,
    }
    new = new_document("ä/ö 1", "héllo 😀", "two\nlines", metadata=metadata)
    await put(store, name, new)
    assert await store.read_document(name, "ä/ö 1") == new.document
    record = await store.get_document(name, "ä/ö 1")
    assert (record.title, record.metadata) == (new.document.title, metadata)
    assert (record.chunks, record.characters) == (2, len(new.document.text))
    assert record.content_hash == new.content_hash
    hits = await find(store, name)
    assert sorted((hit.chunk for hit in hits), key=lambda chunk: chunk.position) == [
        one.chunk for one in new.chunks
    ]
    assert {(hit.title, str(hit.metadata)) for hit in hits} == {(record.title, str(metadata))}


async def test_long_document_is_read_back_whole(store: VectorStore, name: str) -> None:
    text = "".join(f"{number} wörds " for number in range(300_000))
    new = new_document("long", text[:100])
    document = type(new.document)(
        "long", text, "", {}, (TextSection(5, ("A",)), TextSection(9, (), 2))
    )
    await put(store, name, type(new)(document, "hash", new.chunks))
    assert await store.read_document(name, "long") == document


async def test_document_without_chunks_is_kept(store: VectorStore, name: str) -> None:
    await put(store, name, new_document("empty"))
    assert (await store.get_document(name, "empty")).chunks == 0
    assert await find(store, name) == ()


async def test_id_given_twice_is_refused(store: VectorStore, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        await put(store, name, new_document("a", "one"), new_document("a", "two"))
    assert (await store.describe_collection(name)).documents == 0


@pytest.mark.parametrize("bad", ["", "x" * 513, "\ud800"])
async def test_odd_id_is_refused_and_not_found(store: VectorStore, name: str, bad: str) -> None:
    with pytest.raises(InvalidRequestError):
        await put(store, name, new_document(bad, "text"))
    with pytest.raises(DocumentNotFoundError):
        await store.get_document(name, bad)


async def test_several_writers_of_one_document_leave_one_whole(
    store: VectorStore, name: str
) -> None:
    versions = [new_document("a", *[f"v{n}c{m}" for m in range(n + 1)]) for n in range(5)]
    await store.create_collection(name, MODEL)
    await asyncio.gather(*(put(store, name, version) for version in versions))
    texts = {hit.chunk.text for hit in await find(store, name, top_k=50)}
    assert texts in [{one.chunk.text for one in version.chunks} for version in versions]
    assert (await store.describe_collection(name)).chunks == len(texts)


async def test_search_during_writes_sees_whole_documents_only(
    store: VectorStore, name: str
) -> None:
    versions = [new_document("a", *[f"v{n}c{m}" for m in range(8)]) for n in range(6)]
    whole = [{one.chunk.text for one in version.chunks} for version in versions]
    await put(store, name, versions[0])
    writing = asyncio.create_task(_write_in_turn(store, name, versions))
    seen = []
    while not writing.done():
        seen.append({hit.chunk.text for hit in await find(store, name, top_k=50)})
    await writing
    assert [texts for texts in seen if texts not in whole] == []
    assert seen


async def _write_in_turn(store: VectorStore, name: str, versions: list[NewDocument]) -> None:
    for version in versions:
        await put(store, name, version)


async def test_deleted_documents_are_gone(store: VectorStore, name: str) -> None:
    await put(store, name, *(new_document(id_, f"text {id_}", "more") for id_ in "abc"))
    assert await store.delete_documents(name, ["a", "c", "never", "a"]) == 2
    assert {hit.chunk.document_id for hit in await find(store, name)} == {"b"}
    assert await store.describe_collection(name) == Collection(name, MODEL, 1, 2)
    with pytest.raises(DocumentNotFoundError):
        await store.get_document(name, "a")
    assert await put(store, name, new_document("a", "text a", "more")) == ("created",)


async def test_documents_are_deleted_by_filter(store: VectorStore, name: str) -> None:
    await put(
        store, name, *(new_document(f"d{n}", "x", metadata={"even": n % 2 == 0}) for n in range(9))
    )
    assert await store.delete_matching(name, parse_filter({"even": True})) == 5
    assert await found_ids(store, name, {}) == {"d1", "d3", "d5", "d7"}


async def test_metadata_is_replaced_without_embedding_again(store: VectorStore, name: str) -> None:
    await put(store, name, new_document("a", "one", "two", metadata={"year": 1999, "lang": "en"}))
    record = await store.update_metadata(name, "a", {"year": 2020}, title="New")
    assert (record.metadata, record.title) == ({"year": 2020}, "New")
    assert await store.get_document(name, "a") == record
    assert await found_ids(store, name, {"year": {"gt": 2000}}) == {"a"}
    assert await found_ids(store, name, {"lang": "en"}) == set()
    assert [hit.metadata for hit in await find(store, name, top_k=1)] == [{"year": 2020}]
    assert (await store.update_metadata(name, "a", {})).title == "New"
    with pytest.raises(DocumentNotFoundError):
        await store.update_metadata(name, "b", {})


# Reading


async def test_documents_are_listed_page_by_page(store: VectorStore, name: str) -> None:
    ids = {f"d{n}" for n in range(7)}
    await put(store, name, *(new_document(id_, "x", "y") for id_ in ids))
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = await store.list_documents(name, EVERYTHING, cursor, 3)
        seen += [document.id for document in page.documents]
        cursor, pages = page.next_cursor, pages + 1
    assert (sorted(seen), pages) == (sorted(ids), 3)


@pytest.mark.parametrize("cursor", ["", "x", "1", "0" * 31, "'; --"])
async def test_cursor_that_no_page_gave_is_refused(
    store: VectorStore, name: str, cursor: str
) -> None:
    await store.create_collection(name, MODEL)
    with pytest.raises(InvalidRequestError):
        await store.list_documents(name, EVERYTHING, cursor, 3)


FRUIT = (
    new_document("red", "apples and cherries", "red wine", vectors=(EAST, vector(1, 1, 0, 0))),
    new_document("green", "green apples", vectors=(NORTH,)),
    new_document("blue", "plums", vectors=(vector(0, 1, 1, 0),)),
)


async def test_dense_search_ranks_by_cosine(store: VectorStore, name: str) -> None:
    await put(store, name, *FRUIT)
    hits = await find(store, name, near=NORTH, top_k=3)
    assert hits[0].chunk.text == "green apples"
    assert [hit.score for hit in hits] == pytest.approx([1, 0.7071, 0.7071], abs=1e-3)
    assert [(hit.dense_score, hit.sparse_score) for hit in hits] == [
        (hit.score, None) for hit in hits
    ]


async def test_sparse_search_ranks_by_words_and_stems_them(store: VectorStore, name: str) -> None:
    await put(store, name, *FRUIT)
    hits = await find(store, name, "a green apple", mode="sparse")
    assert [hit.chunk.text for hit in hits] == ["green apples", "apples and cherries"]
    assert hits[0].score > hits[1].score > 0
    assert [(hit.dense_score, hit.sparse_score) for hit in hits] == [
        (None, hit.score) for hit in hits
    ]


async def test_rare_words_count_more_than_common_ones(store: VectorStore, name: str) -> None:
    common = [new_document(f"c{n}", "engine manual") for n in range(20)]
    await put(store, name, *common, new_document("rare", "turbopump manual"))
    hits = await find(store, name, "engine turbopump", mode="sparse", top_k=2)
    assert hits[0].chunk.document_id == "rare"
    assert hits[0].score > 2 * hits[1].score


async def test_hybrid_search_fuses_both_rankings_and_tells_both_scores(
    store: VectorStore, name: str
) -> None:
    await put(store, name, *FRUIT)
    equal = HybridWeights(1, 1)
    hits = await find(store, name, "cherry", near=NORTH, mode="hybrid", weights=equal)
    by_text = {hit.chunk.text: hit for hit in hits}
    dense = {hit.chunk.text: hit.score for hit in await find(store, name, near=NORTH)}
    sparse = {hit.chunk.text: hit.score for hit in await find(store, name, "cherry", mode="sparse")}
    assert {text: hit.dense_score for text, hit in by_text.items()} == pytest.approx(dense)
    assert {text: hit.sparse_score for text, hit in by_text.items()} == pytest.approx(
        dict.fromkeys(dense, 0.0) | sparse
    )
    assert {hit.chunk.text for hit in hits[:2]} == {"green apples", "apples and cherries"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_weights_say_which_ranking_leads(store: VectorStore, name: str) -> None:
    await put(store, name, *FRUIT)

    async def first(embedding: float, text: float) -> list[str]:
        weights = HybridWeights(embedding, text)
        hits = await find(store, name, "cherry", near=NORTH, mode="hybrid", weights=weights)
        return [hit.chunk.text for hit in hits][:1]

    assert await first(9, 1) == await first(1, 0) == ["green apples"]
    assert await first(0.1, 0.9) == await first(0, 5) == ["apples and cherries"]


@pytest.mark.parametrize("question", ["", "the of and", "zebra"])
async def test_question_without_known_words_is_answered_by_vectors(
    store: VectorStore, name: str, question: str
) -> None:
    await put(store, name, *FRUIT)
    assert await find(store, name, question, mode="sparse") == ()
    hits = await find(store, name, question, near=NORTH, mode="hybrid", top_k=1)
    assert [hit.chunk.text for hit in hits] == ["green apples"]


async def test_threshold_bounds_the_cosine_also_where_words_match(
    store: VectorStore, name: str
) -> None:
    await put(store, name, *FRUIT)
    hits = await find(store, name, "plums cherry", near=NORTH, mode="hybrid", threshold=0.9)
    assert [hit.chunk.text for hit in hits] == ["green apples"]
    assert await find(store, name, near=UP, threshold=0.99) == ()
    assert await find(store, name, "apple", mode="sparse", threshold=1000.0) == ()


async def test_top_k_bounds_the_hits(store: VectorStore, name: str) -> None:
    await put(store, name, new_document("a", *[f"word {n}" for n in range(300)]))
    for top_k in (1, 7, 250):
        for mode in get_args(SearchMode):
            assert len(await find(store, name, "word", mode=mode, top_k=top_k)) == top_k


async def test_vectors_come_back_if_asked_for(store: VectorStore, name: str) -> None:
    await put(store, name, new_document("a", "x", vectors=(vector(3, 4, 0, 0),)))
    query = SearchQuery("dense", 1, vector=QueryVector("tiny", EAST), with_vectors=True)
    [hit] = await store.search(name, query)
    assert hit.vector is not None
    assert hit.vector.tolist() == pytest.approx([0.6, 0.8, 0, 0])
    assert hit.chunk.span == Span(0, 1)


# Words of other scripts and forms

CAPITALS = {
    "zh": "北京是中华人民共和国的首都",
    "ja": "東京は日本の首都であり、世界最大の都市圏です",
    "th": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย",
    "ko": "서울은 대한민국의 수도이며 학교에서 배운다",
    "de": "Die Hauptstraße führt durch die ﬁnsteren Gassen",
    "fr": "Le cafe\u0301 de l\u2019e\u0301te\u0301",
    "mixed": "iPhone 15の使い方 \uff27\uff55\uff49\uff44\uff45",
    "en": "The capital of Peru is Lima",
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("首都", {"zh", "ja"}),
        ("中华人民共和国", {"zh"}),
        ("都市圏", {"ja"}),
        ("使い方", {"mixed"}),
        ("iphone guide", {"mixed"}),
        ("เมืองหลวง", {"th"}),
        ("수도", {"ko"}),
        ("학교", {"ko"}),
        ("HAUPTSTRASSE", {"de"}),
        ("finsteren", {"de"}),
        ("caf\u00e9", {"fr"}),
        ("l'\u00e9t\u00e9", {"fr"}),
        ("capitals", {"en"}),
    ],
)
async def test_words_are_found_in_every_script_and_form(
    store: VectorStore, name: str, asked: str, expected: set[str]
) -> None:
    await put(store, name, *(new_document(id_, text) for id_, text in CAPITALS.items()))
    hits = await find(store, name, asked, mode="sparse")
    assert {hit.chunk.document_id for hit in hits} == expected


# Filters

METADATA: dict[str, Metadata] = {
    "int": {"v": 1},
    "float": {"v": 1.5},
    "true": {"v": True},
    "text": {"v": "a"},
    "digit": {"v": "1"},
    "list": {"v": [1, "b", 7]},
    "dated": {"v": "2024-02-29", "w": "2024-03-01T12:00:00+02:00"},
    "none": {"v": None},
    "absent": {},
    "odd": {'a."b"[0].c': "x", "ключ 🔑": 5, "$and": 3, "v": ""},
}


FILTERS: list[tuple[object, str]] = [
    ({"v": 1}, "int list"),
    ({"v": {"eq": 1.0}}, "int list"),
    ({"v": True}, "true"),
    ({"v": "1"}, "digit"),
    ({"v": {"eq": 1.5}}, "float"),
    ({"v": ""}, "odd"),
    ({"v": {"ne": 1}}, "float true text digit dated none absent odd"),
    ({"v": {"in": ["a", "b", True]}}, "text list true"),
    ({"v": {"nin": ["a", 1, "1", ""]}}, "float true dated none absent"),
    ({"v": None}, "none absent"),
    ({"v": {"ne": None}}, "int float true text digit list dated odd"),
    ({"or": [{"v": None}, {"v": "a"}]}, "none absent text"),
    ({"v": {"gt": 1}}, "float list"),
    ({"v": {"gte": 1}}, "int float list"),
    ({"v": {"lt": 1.5}}, "int list"),
    ({"v": {"lte": 1.5}}, "int float list"),
    ({"v": {"gt": 1, "lt": 2}}, "float list"),
    ({"v": {"gte": "2024-02-29"}}, "dated"),
    ({"v": {"lt": "2024-02-29"}}, ""),
    ({"w": {"eq": "2024-03-01T12:00:00+02:00"}}, "dated"),
    ({"w": {"gt": "2024-03-01T09:59:59Z", "lte": "2024-03-01T10:00:00"}}, "dated"),
    ({"and": [{"v": {"gte": 1}}, {"v": {"ne": "b"}}]}, "int float"),
    ({"or": [{"v": "a"}, {"v": "1"}]}, "text digit"),
    ({"$or": [{"v": {"$eq": "a"}}, {"$and": [{"v": 1}, {"v": 7}]}]}, "text list"),
    ({"v": 1, "w": 1}, ""),
    ({'a."b"[0].c': "x"}, "odd"),
    ({"ключ 🔑": {"gte": 5}}, "odd"),
    ({"nowhere": {"gt": 0}}, ""),
]


async def test_filters_find_what_they_say(store: VectorStore, name: str) -> None:
    await put(store, name, *(new_document(id_, "x", metadata=m) for id_, m in METADATA.items()))
    found = {str(where): await found_ids(store, name, where) for where, _ in FILTERS}
    assert found == {str(where): set(expected.split()) for where, expected in FILTERS}
