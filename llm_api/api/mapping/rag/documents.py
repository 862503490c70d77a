"""Documents, wire to domain and back. Pure."""

from collections.abc import Sequence
from typing import TypeVar

from llm_api.api.models.rag import documents as wire
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.identity import new_document
from llm_api.core.rag.jobs import Job
from llm_api.core.rag.loaders.decode import clean
from llm_api.core.rag.reports import DocumentOutcome
from llm_api.core.rag.types import Document
from llm_api.core.rag.vector_store import DocumentPage, DocumentRecord

Value = TypeVar("Value")


def to_documents(request: wire.IngestRequest, among: str = "") -> list[Document]:
    """What is to be stored: texts as they were sent, as spans of hits and citations count in them.

    `among` is as `new_document` has it.
    Blocks: a text without an id is hashed. Raises InvalidRequestError for lists that do not fit.
    """
    if (request.texts is None) == (request.documents is None):
        raise InvalidRequestError("Send either 'texts' or 'documents'.", param="texts")
    if request.documents is not None:
        _check_absent(request)
        return [
            new_document(
                one.text, id=one.id, title=clean(one.title), metadata=one.metadata, among=among
            )
            for one in request.documents
        ]
    texts = request.texts or []
    ids = _as_many("ids", request.ids, texts)
    metadata = _as_many("metadata", request.metadata, texts)
    return [
        new_document(text, id=ids[index], metadata=metadata[index], among=among)
        for index, text in enumerate(texts)
    ]


def _check_absent(request: wire.IngestRequest) -> None:
    for name in ("metadata", "ids"):
        if getattr(request, name) is not None:
            raise InvalidRequestError(
                f"'{name}' goes with 'texts'; in 'documents' each has its own.", param=name
            )


def _as_many(
    name: str, given: Sequence[Value] | None, texts: Sequence[str]
) -> Sequence[Value | None]:
    if given is None:
        return [None] * len(texts)
    if len(given) != len(texts):
        raise InvalidRequestError(
            f"'{name}' has {len(given)} entries for {len(texts)} texts; send one for each.",
            param=name,
        )
    return given


def to_ingest_answer(collection: str, outcomes: Sequence[DocumentOutcome]) -> wire.IngestAnswer:
    return wire.IngestAnswer(
        object="rag.ingest",
        collection=collection,
        ids=list(dict.fromkeys(one.document_id for one in outcomes if one.what != "failed")),
        documents=[_ingested(one) for one in outcomes],
        failed=sum(one.what == "failed" for one in outcomes),
    )


def _ingested(outcome: DocumentOutcome) -> wire.IngestedDocument:
    document = wire.IngestedDocument(
        id=outcome.document_id, status=outcome.what, chunks=outcome.chunks
    )
    if outcome.reason:
        document.error = outcome.reason
    if outcome.warnings:
        document.warnings = list(outcome.warnings)
    return document


def to_job(job: Job) -> wire.Job:
    return wire.Job(
        id=job.id,
        object="rag.job",
        collection=job.collection,
        state=job.state,
        done=job.done,
        total=job.total,
        failures=dict(job.failures),
        warnings={name: list(sentences) for name, sentences in job.warnings.items()},
        error=job.error or None,
        created_at=int(job.created_at),
        started_at=None if job.started_at is None else int(job.started_at),
        ended_at=None if job.ended_at is None else int(job.ended_at),
    )


def to_document(record: DocumentRecord) -> wire.Document:
    return wire.Document(
        id=record.id,
        object="rag.document",
        title=record.title,
        metadata=dict(record.metadata),
        characters=record.characters,
        chunks=record.chunks,
        content_hash=record.content_hash,
        stored_at=int(record.stored_at),
    )


def to_document_list(page: DocumentPage) -> wire.DocumentList:
    return wire.DocumentList(
        object="list",
        data=[to_document(record) for record in page.documents],
        has_more=page.next_cursor is not None,
        next_cursor=page.next_cursor,
    )
