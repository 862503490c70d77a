"""Evals on the wire: measured, tuned, applied, shown and forgotten; drafted as a job."""

import time
from typing import Any

import pytest

from tests.api.rag.conftest import Desk, error_of
from tests.fakes import spoken
from tests.live import PATIENCE_SECONDS

ANIMALS = ["cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay", "kite", "lark", "mole", "newt"]


@pytest.fixture
def full(desk: Desk) -> Desk:
    desk.store(cats="cats sleep long", dogs="dogs bark loud", both="cats sleep and dogs bark")
    return desk


def test_evals_say_what_each_mode_reaches_and_which_is_best(full: Desk) -> None:
    questions = [
        {"query": "cats sleep long", "relevant": ["cats"]},
        {"query": "dogs bark loud", "relevant": {"dogs": 2, "both": 1}},
    ]
    answer = full.post("/v1/rag/evals", questions=questions, cutoff=3).json()
    assert answer["questions"] == 2
    assert set(answer["modes"]) == {"dense", "sparse", "hybrid"}
    assert answer["modes"]["sparse"]["mrr"] == 1.0
    best = max(answer["modes"].values(), key=lambda quality: quality["ndcg"])
    assert answer["modes"][answer["best"]]["ndcg"] == best["ndcg"]


def test_eval_without_a_relevant_document_is_refused(full: Desk) -> None:
    questions = [{"query": "cats", "relevant": []}]
    answer = full.post("/v1/rag/evals", questions=questions)
    assert error_of(answer) == (400, "invalid_request", "questions")


def test_eval_of_a_collection_that_is_not_there_says_so(desk: Desk) -> None:
    answer = desk.post("/v1/rag/evals", questions=[{"query": "cats", "relevant": ["cats"]}])
    assert error_of(answer) == (404, "collection_not_found", "collection")


def question_of(number: int) -> dict[str, object]:
    """Its words are those of one document, its meaning (to this embedder) as well."""
    return {"query": f"where does the {ANIMALS[number]} live", "relevant": [ANIMALS[number]]}


@pytest.fixture
def animals(desk: Desk) -> Desk:
    desk.store(
        **{one: f"the {one} lives in a place of its own for all of its life" for one in ANIMALS}
    )
    return desk


def test_tuning_is_told_and_applied_only_where_it_is_better(animals: Desk) -> None:
    questions = [question_of(number) for number in range(len(ANIMALS))]
    answer = animals.post("/v1/rag/evals", questions=questions, apply=True).json()
    tuning = answer["tuning"]
    assert tuning["gain"] == pytest.approx(tuning["ndcg"] - tuning["ndcg_before"])
    assert tuning["applied"] == tuning["better"]
    described = animals.http.get(f"/v1/rag/collections/{animals.collection}").json()
    assert (described["tuned"] is not None) == tuning["applied"]


def test_few_questions_tune_nothing(animals: Desk) -> None:
    questions = [question_of(number) for number in range(9)]
    assert animals.post("/v1/rag/evals", questions=questions).json()["tuning"] is None
    refused = animals.post("/v1/rag/evals", questions=questions, apply=True)
    assert error_of(refused) == (400, "invalid_request", "questions")


def test_neither_questions_nor_a_draft_is_refused(desk: Desk) -> None:
    assert error_of(desk.post("/v1/rag/evals")) == (400, "invalid_request", "questions")
    both = desk.post("/v1/rag/evals", draft=10, questions=[question_of(0)])
    assert error_of(both) == (400, "invalid_request", "draft")
    assert error_of(desk.post("/v1/rag/evals", draft=9))[::2] == (400, "draft")
    unknown = desk.post("/v1/rag/evals", draft=10, model="nobody")
    assert error_of(unknown)[:2] == (404, "model_not_found")


def test_forgotten_tuning_is_none(animals: Desk) -> None:
    place = f"/v1/rag/collections/{animals.collection}/tuning"
    assert animals.http.delete(place).json()["tuned"] is None
    gone = animals.http.delete("/v1/rag/collections/nowhere/tuning")
    assert error_of(gone)[:2] == (404, "collection_not_found")


def test_lines_that_place_chunks_are_a_job_that_says_what_they_are_worth(desk: Desk) -> None:
    words = " ".join(f"It is word number {number} of this long tale." for number in range(60))
    desk.store(**dict.fromkeys(ANIMALS, words))
    desk.backend.script = lambda _: spoken("This part is about an animal.")
    questions = [question_of(number) for number in range(len(ANIMALS))]
    created = desk.post("/v1/rag/evals", questions=questions, contexts=True, apply=True)
    assert created.status_code == 202
    job = ended(desk, created.headers["location"])
    assert (job["state"], job["error"]) == ("done", None)
    contexts = job["result"]["contexts"]
    assert contexts["lines"] == contexts["chunks"] > len(ANIMALS)
    assert (contexts["better"], contexts["applied"]) == (False, False)
    assert contexts["cached_tokens"] == 2 * contexts["lines"]
    report = desk.http.get(f"/v1/rag/collections/{desk.collection}/report").json()
    assert report["contexts"] == 0
    few = desk.post("/v1/rag/evals", questions=questions[:9], contexts=True)
    assert error_of(few) == (400, "invalid_request", "questions")


def ended(desk: Desk, location: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_SECONDS
    job: dict[str, Any] = desk.http.get(location).json()
    while job["state"] in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.05)
        job = desk.http.get(location).json()
    return job


def test_drafted_evals_are_a_job_that_ends_with_their_result(animals: Desk) -> None:
    animals.backend.script = lambda _: spoken("Where is its place?")
    created = animals.post("/v1/rag/evals", draft=10)
    assert created.status_code == 202
    job: dict[str, Any] = created.json()
    assert created.headers["location"] == f"/v1/rag/evals/{job['id']}"
    job = ended(animals, created.headers["location"])
    assert (job["state"], job["done"], job["total"]) == ("done", 11, 11)
    assert [one["query"] for one in job["questions"]] == ["Where is its place?"] * 10
    assert job["result"]["questions"] == 1  # they are all the same
    assert animals.http.post(f"/v1/rag/evals/{job['id']}/cancel").json()["state"] == "done"
    assert error_of(animals.http.get("/v1/rag/evals/eval_x"))[:2] == (404, "job_not_found")
