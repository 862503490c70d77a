"""Documents, wire to domain and back: tables."""

import json
from dataclasses import replace

import pytest

from llm_api.api.mapping.rag.documents import (
    to_document,
    to_document_list,
    to_documents,
    to_ingest_answer,
    to_job,
)
from llm_api.api.models.base import AnswerModel
from llm_api.api.models.rag.documents import IngestRequest
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.identity import new_document
from llm_api.core.rag.jobs import Job
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import DocumentPage, DocumentRecord

RECORD = DocumentRecord("a", "A", {"year": 2024}, "h", 10, 2, 1_700_000_000.75)
JOB = Job("j", "c", 3, 1_700_000_000.5)


def sent(model: AnswerModel) -> dict[str, object]:
    written: dict[str, object] = json.loads(model.to_json())
    return written


def documents(**given: object) -> list[Document]:
    return to_documents(IngestRequest.model_validate(given))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"texts": ["x", "y"]}, [new_document("x"), new_document("y")]),
        ({"texts": []}, []),
        (
            {"texts": ["x", "y"], "ids": ["a", "b"], "metadata": [{"n": 1}, {}]},
            [new_document("x", id="a", metadata={"n": 1}), new_document("y", id="b")],
        ),
        (
            {"documents": [{"text": "x", "title": "T", "metadata": {"n": 1}}, {"text": "y"}]},
            [new_document("x", title="T", metadata={"n": 1}), new_document("y")],
        ),
        ({"documents": [{"id": "a", "text": " x\r\n"}]}, [new_document(" x\r\n", id="a")]),
    ],
)
def test_documents_are_texts_as_they_were_sent(
    given: dict[str, object], wanted: list[Document]
) -> None:
    assert documents(**given) == wanted


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "texts"),
        ({"texts": [], "documents": []}, "texts"),
        ({"texts": ["x"], "ids": []}, "ids"),
        ({"texts": ["x"], "metadata": [{}, {}]}, "metadata"),
        ({"documents": [], "ids": []}, "ids"),
        ({"documents": [], "metadata": []}, "metadata"),
    ],
)
def test_list_that_does_not_fit_is_named(given: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        documents(**given)
    assert caught.value.param == param


def test_ingest_answer_names_what_is_stored_once_and_counts_what_failed() -> None:
    outcomes = [
        DocumentOutcome("a", "created", 2),
        DocumentOutcome("b", "failed", reason="It is broken."),
        DocumentOutcome("a", "unchanged", 2, warnings=("Page 2 is a picture.",)),
    ]
    assert sent(to_ingest_answer("c", outcomes)) == {
        "object": "rag.ingest",
        "collection": "c",
        "ids": ["a"],
        "documents": [
            {"id": "a", "status": "created", "chunks": 2},
            {"id": "b", "status": "failed", "chunks": 0, "error": "It is broken."},
            {"id": "a", "status": "unchanged", "chunks": 2, "warnings": ["Page 2 is a picture."]},
        ],
        "failed": 1,
    }


def test_job_that_waits_has_no_times_but_its_own() -> None:
    assert sent(to_job(JOB)) == {
        "id": "j",
        "object": "rag.job",
        "collection": "c",
        "state": "queued",
        "done": 0,
        "total": 3,
        "failures": {},
        "warnings": {},
        "error": None,
        "created_at": 1_700_000_000,
        "started_at": None,
        "ended_at": None,
    }


def test_job_that_has_ended_says_what_became_of_it() -> None:
    ended = replace(
        JOB,
        state="failed",
        done=1,
        failures={"b": "No."},
        warnings={"a": ("Hm.",)},
        error="The store is gone.",
        started_at=1_700_000_001.9,
        ended_at=1_700_000_002.1,
    )
    job = to_job(ended)
    assert (job.state, job.done, job.error) == ("failed", 1, "The store is gone.")
    assert (job.failures, job.warnings) == ({"b": "No."}, {"a": ["Hm."]})
    assert (job.started_at, job.ended_at) == (1_700_000_001, 1_700_000_002)


def test_record_is_a_document_without_its_text() -> None:
    assert sent(to_document(RECORD)) == {
        "id": "a",
        "object": "rag.document",
        "title": "A",
        "metadata": {"year": 2024},
        "characters": 10,
        "chunks": 2,
        "content_hash": "h",
        "stored_at": 1_700_000_000,
    }


@pytest.mark.parametrize(("cursor", "has_more"), [(None, False), ("", True), ("a", True)])
def test_page_says_whether_there_is_more(cursor: str | None, has_more: bool) -> None:
    page = to_document_list(DocumentPage((RECORD,), cursor))
    assert [one.id for one in page.data] == ["a"]
    assert (page.has_more, page.next_cursor) == (has_more, cursor)
