import pytest

from tests.api.rag.conftest import Desk, error_of
from tests.fakes import spoken


@pytest.fixture
def full(desk: Desk) -> Desk:
    documents = [
        {"id": "cats", "text": "cats sleep long", "title": "Cats", "metadata": {"year": 2020}},
        {"id": "dogs", "text": "dogs bark loud", "metadata": {"year": 2022, "lang": "en"}},
        {"id": "both", "text": "cats sleep and dogs bark", "metadata": {"year": 2024}},
    ]
    assert desk.post("/v1/rag/documents", documents=documents).is_success
    return desk


def ids(desk: Desk, **body: object) -> list[str]:
    answer = desk.post("/v1/rag/search", **body)
    assert answer.status_code == 200, answer.text
    return [one["document_id"] for one in answer.json()["data"]]


def test_hit_has_its_words_place_document_and_scores(full: Desk) -> None:
    (hit,) = full.post("/v1/rag/search", query="cats sleep long", top_k=1).json()["data"]
    assert hit.pop("chunk_id")
    assert 0 < hit.pop("score") <= 1
    scores = hit.pop("scores")
    assert 0.9 < scores["dense"] < 1
    assert scores["sparse"] > 0
    assert scores["rerank"] is None
    assert hit == {
        "document_id": "cats",
        "title": "Cats",
        "text": "cats sleep long",
        "span": {"start": 0, "end": 15},
        "headings": [],
        "page": None,
        "metadata": {"year": 2020},
    }


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
def test_each_mode_finds_the_best_first(full: Desk, mode: str) -> None:
    assert ids(full, query="dogs bark loud", mode=mode)[0] == "dogs"


@pytest.mark.parametrize(("embedding", "text"), [(1, 0), (0, 1)])
def test_weights_of_one_ranking_alone_order_as_its_mode_does(
    full: Desk, embedding: float, text: float
) -> None:
    weights = {"embedding_weight": embedding, "text_weight": text}
    hits = full.post("/v1/rag/search", query="cats and dogs bark", hybrid_search=weights)
    scores = [hit["scores"]["dense" if embedding else "sparse"] for hit in hits.json()["data"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("weight", [-1, 1e7, "much", None])
def test_weight_that_is_none_is_named(full: Desk, weight: object) -> None:
    weights = {"embedding_weight": weight, "text_weight": 1}
    answer = full.post("/v1/rag/search", query="cats", hybrid_search=weights)
    assert error_of(answer)[::2] == (400, "hybrid_search.embedding_weight")


def test_default_finds_as_many_as_the_setting_says(full: Desk) -> None:
    assert len(ids(full, query="cats dogs", score_threshold=-1)) == 3


def test_nothing_above_the_threshold_is_an_empty_list(full: Desk) -> None:
    assert ids(full, query="income tax") == []
    assert ids(full, query="cats sleep long", score_threshold=0.9) == ["cats"]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"year": 2020}, ["cats"]),
        ({"year": {"$gt": 2020, "lt": 2024}}, ["dogs"]),
        ({"year": {"nin": [2020, 2022]}}, ["both"]),
        ({"or": [{"year": {"lte": 2020}}, {"lang": {"eq": "en"}}]}, ["cats", "dogs"]),
        ({"lang": {"ne": "en"}}, ["both", "cats"]),
    ],
)
def test_filter_leaves_what_matches(
    full: Desk, filter: dict[str, object], found: list[str]
) -> None:
    assert sorted(ids(full, query="cats dogs", score_threshold=-1, filter=filter)) == found


@pytest.mark.parametrize(
    "filter",
    [
        {"year": {"like": 1}},
        {"year": {"in": []}},
        {"or": []},
        {"year": {"gt": "abc"}},
        {"and": [{"and": [{"and": [{"and": [{"and": [{"and": [{"and": [{"and": [{}]}]}]}]}]}]}]}]},
        {f"k{number}": 1 for number in range(100)},
    ],
)
def test_hostile_filter_is_refused_by_its_path(full: Desk, filter: dict[str, object]) -> None:
    status, _, param = error_of(full.post("/v1/rag/search", query="cats", filter=filter))
    assert status == 400
    assert param is not None
    assert param.startswith("filter")


def test_diverse_hits_do_not_repeat_each_other(full: Desk) -> None:
    full.store(copy="cats sleep long now")
    plain = ids(full, query="cats sleep long", top_k=2, mode="dense")
    diverse = ids(full, query="cats sleep long", top_k=2, mode="dense", diversity=0.9)
    assert plain == ["cats", "copy"]
    assert diverse[0] == "cats"
    assert diverse[1] != "copy"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "query"),
        ({"query": " "}, "invalid_value", "query"),
        ({"query": "a", "top_k": 0}, "invalid_value", "top_k"),
        ({"query": "a", "mode": "magic"}, "invalid_value", "mode"),
        ({"query": "a", "rerank": True}, "unsupported_parameter", "rerank"),
        ({"query": "a", "k": 1}, "unsupported_parameter", "k"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    full: Desk, body: dict[str, object], code: str, param: str
) -> None:
    assert error_of(full.post("/v1/rag/search", **body)) == (400, code, param)


def test_expanded_question_finds_what_its_parts_find(full: Desk) -> None:
    full.backend.script = lambda _: spoken("dogs bark loud\n", "cats sleep long")
    asked = {"query": "who is quiet", "mode": "sparse", "top_k": 2}
    answer = full.post("/v1/rag/search", expand="parts", **asked).json()
    assert answer["searched"] == ["dogs bark loud", "cats sleep long"]
    assert [hit["document_id"] for hit in answer["data"]] == ["dogs", "cats"]
    alone = full.post("/v1/rag/search", **asked).json()
    assert alone["data"] == []
    assert "searched" not in alone
