"""Reports on collections, domain to wire. Pure."""

from collections.abc import Sequence

from llm_api.api.models.rag import report as wire
from llm_api.core.rag.collection_report import CollectionReport, Named


def to_report(report: CollectionReport) -> wire.CollectionReport:
    collection = report.collection
    return wire.CollectionReport(
        object="rag.report",
        collection=collection.name,
        embedding_model=collection.embedding.model,
        dimension=collection.embedding.dimension,
        word_rule=collection.word_rule,
        documents=report.total.documents,
        chunks=report.total.chunks,
        contexts=report.total.lines,
        characters=report.total.characters,
        sources=[
            wire.SourceReport(
                type=one.origin,
                name=one.name,
                documents=one.amount.documents,
                chunks=one.amount.chunks,
                characters=one.amount.characters,
                last_stored_at=int(one.amount.newest),
                last_synced_at=None if one.synced_at is None else int(one.synced_at),
            )
            for one in report.sources
        ],
        kinds=[
            wire.KindReport(
                kind=kind,
                documents=amount.documents,
                chunks=amount.chunks,
                characters=amount.characters,
            )
            for kind, amount in report.kinds.items()
        ],
        failed=_named(report.failed, report.failed_count),
        stale=_named(report.stale, report.stale_count),
        is_partial=report.is_partial,
    )


def _named(some: Sequence[Named], total: int) -> wire.NamedDocuments:
    data = [
        wire.NamedDocument(document_id=one.document_id, reason=one.reason, at=int(one.at))
        for one in some
    ]
    return wire.NamedDocuments(total=total, data=data)
