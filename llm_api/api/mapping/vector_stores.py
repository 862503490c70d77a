"""Vector stores, wire to domain and back. Pure."""

from collections.abc import Sequence
from typing import Any, Final, cast

from llm_api.api.mapping.rag.search import to_span, to_weights
from llm_api.api.models import vector_stores as wire
from llm_api.api.models.rag.fields import Scores
from llm_api.core.errors import InvalidRequestError, MissingParameterError
from llm_api.core.rag.chunking import ChunkSettings
from llm_api.core.rag.filters import EVERYTHING, Filter, parse_filter
from llm_api.core.rag.retrieve import NO_THRESHOLD, SearchOptions
from llm_api.core.rag.vector_store import Hit
from llm_api.core.state.records import Page
from llm_api.core.vector_stores.views import (
    BatchView,
    FileCounts,
    NewStoreFile,
    StoreChange,
    StoreDescription,
    StoreFileView,
    StoreView,
    attributes_of,
    filename_of,
)

_MAX_DEPTH: Final = 8
_JOINED: Final = frozenset({"and", "or"})


def to_filter(given: object, path: str = "filters") -> Filter:
    """OpenAI's form of a filter. Raises InvalidRequestError whose `param` is the path."""
    return parse_filter(_own_form(given, path, 1), path)


def _own_form(given: object, path: str, depth: int) -> dict[str, Any]:
    """The same in the form that `/v1/rag` takes."""
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        raise InvalidRequestError("A filter is an object with a `type`.", param=path)
    kind = given["type"]
    if kind not in _JOINED:
        _check_keys(given, {"type", "key", "value"}, path)
        if not isinstance(given["key"], str):
            raise InvalidRequestError("A filter's `key` is a text.", param=f"{path}.key")
        return {given["key"]: {kind: given["value"]}}
    _check_keys(given, {"type", "filters"}, path)
    parts = given["filters"]
    if not isinstance(parts, list) or depth == _MAX_DEPTH:
        raise InvalidRequestError(
            f"`filters` is a list, nested at most {_MAX_DEPTH} deep.", param=f"{path}.filters"
        )
    return {
        kind: [
            _own_form(one, f"{path}.filters[{index}]", depth + 1) for index, one in enumerate(parts)
        ]
    }


def _check_keys(given: dict[str, Any], wanted: set[str], path: str) -> None:
    if given.keys() != wanted:
        names = ", ".join(sorted(wanted))
        raise InvalidRequestError(f"A filter of this type has the fields {names}.", param=path)


def to_search_options(id: str, body: wire.SearchVectorStore) -> SearchOptions:
    """Raises InvalidRequestError."""
    ranking = body.ranking_options or wire.StoreRanking()
    weights = to_weights(ranking.hybrid_search, path="ranking_options.")
    return SearchOptions(
        id,
        body.max_num_results,
        filter=EVERYTHING if body.filters is None else to_filter(body.filters),
        score_threshold=ranking.score_threshold or NO_THRESHOLD,
        truncates=True,
        weights=weights,
        unsaid=frozenset({"mode", "diversity"} if weights is None else {"diversity"}),
    )


def to_questions(body: wire.SearchVectorStore) -> list[str]:
    return [body.query] if isinstance(body.query, str) else body.query


def to_chunks(
    given: wire.AutoChunking | wire.StaticChunking | None, path: str = "chunking_strategy"
) -> ChunkSettings | None:
    """None: as the store or the server does. Raises InvalidRequestError."""
    if not isinstance(given, wire.StaticChunking):
        return None
    size, overlap = given.static.max_chunk_size_tokens, given.static.chunk_overlap_tokens
    if overlap > size // 2:
        raise InvalidRequestError(
            "`chunk_overlap_tokens` is at most half of `max_chunk_size_tokens`.",
            param=f"{path}.static.chunk_overlap_tokens",
        )
    return ChunkSettings(size, overlap)


def to_description(body: wire.CreateVectorStore) -> StoreDescription:
    chunks = to_chunks(body.chunking_strategy)
    return StoreDescription(body.name or "", body.description, body.metadata or {}, chunks)


def to_change(body: wire.UpdateVectorStore) -> StoreChange:
    sets_expiry = "expires_after" in body.model_fields_set
    metadata = body.metadata or {} if "metadata" in body.model_fields_set else None
    return StoreChange(body.name, metadata, sets_expiry, to_days(body.expires_after))


def to_days(given: wire.StoreExpiry | None) -> int | None:
    return None if given is None else given.days


def to_new_file(given: wire.AttachFile, path: str = "") -> NewStoreFile:
    chunks = to_chunks(given.chunking_strategy, f"{path}chunking_strategy")
    return NewStoreFile(given.file_id, given.attributes or {}, chunks)


def to_new_files(body: wire.CreateFileBatch) -> list[NewStoreFile]:
    """Raises InvalidRequestError."""
    if body.files is not None and body.file_ids is not None:
        raise InvalidRequestError("Send `file_ids` or `files`, not both.", param="files")
    if body.files is not None:
        if body.attributes is not None or body.chunking_strategy is not None:
            raise InvalidRequestError(
                "With `files`, each says its own `attributes` and `chunking_strategy`.",
                param="files",
            )
        return [to_new_file(one, f"files[{index}].") for index, one in enumerate(body.files)]
    if body.file_ids is None:
        raise MissingParameterError("Send `file_ids` or `files`.", param="file_ids")
    chunks = to_chunks(body.chunking_strategy)
    return [NewStoreFile(id, body.attributes or {}, chunks) for id in body.file_ids]


def to_store(view: StoreView) -> wire.VectorStoreObject:
    is_named = view.created_at is not None
    days = view.expires_days
    return wire.VectorStoreObject(
        id=view.id,
        object="vector_store",
        created_at=int(view.created_at or 0),
        name=view.told.name if is_named else view.id,
        description=view.told.description,
        status=_status(view),
        usage_bytes=view.usage_bytes,
        file_counts=to_counts(view.counts),
        expires_after=None
        if days is None
        else wire.StoreExpiryObject(anchor="last_active_at", days=days),
        expires_at=None if view.expires_at is None else int(view.expires_at),
        last_active_at=None if view.last_active_at is None else int(view.last_active_at),
        metadata=dict(view.told.metadata),
    )


def _status(view: StoreView) -> Any:
    if view.is_expired:
        return "expired"
    return "in_progress" if view.counts.in_progress else "completed"


def to_counts(counts: FileCounts) -> wire.FileCountsObject:
    return wire.FileCountsObject(
        in_progress=counts.in_progress,
        completed=counts.completed,
        failed=counts.failed,
        cancelled=counts.cancelled,
        total=counts.total,
    )


def to_store_list(page: Page[StoreView]) -> wire.VectorStoreList:
    data = [to_store(one) for one in page.entries]
    return wire.VectorStoreList(
        object="list", data=data, has_more=page.has_more, **_ends([one.id for one in data])
    )


def to_file(view: StoreFileView) -> wire.VectorStoreFileObject:
    error = None
    if view.status == "failed":
        error = wire.LastError(code=cast("Any", view.error_code), message=view.error)
    return wire.VectorStoreFileObject(
        id=view.id,
        object="vector_store.file",
        created_at=int(view.created_at),
        vector_store_id=view.store_id,
        filename=view.filename,
        status=view.status,
        usage_bytes=view.usage_bytes,
        last_error=error,
        attributes=dict(view.attributes),
        chunking_strategy=_chunking(view.chunks),
    )


def _chunking(chunks: ChunkSettings | None) -> wire.ChunkingObject:
    if chunks is None:
        return wire.ChunkingObject(type="other")
    sizes = wire.ChunkSizesObject(
        max_chunk_size_tokens=chunks.chunk_tokens, chunk_overlap_tokens=chunks.overlap_tokens
    )
    return wire.ChunkingObject(type="static", static=sizes)


def to_file_list(page: Page[StoreFileView]) -> wire.VectorStoreFileList:
    data = [to_file(one) for one in page.entries]
    return wire.VectorStoreFileList(
        object="list", data=data, has_more=page.has_more, **_ends([one.id for one in data])
    )


def _ends(ids: Sequence[str]) -> dict[str, str | None]:
    return {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}


def to_content(view: StoreFileView, text: str) -> wire.FileContentPage:
    return wire.FileContentPage(
        object="vector_store.file_content.page",
        file_id=view.id,
        filename=view.filename,
        attributes=dict(view.attributes),
        data=[wire.TextPart(type="text", text=text)] if text else [],
        has_more=False,
        next_page=None,
    )


def to_batch(view: BatchView) -> wire.FileBatchObject:
    return wire.FileBatchObject(
        id=view.id,
        object="vector_store.files_batch",
        created_at=int(view.created_at),
        vector_store_id=view.store_id,
        status=view.status,
        file_counts=to_counts(view.counts),
    )


def to_result(hit: Hit) -> wire.SearchResult:
    chunk = hit.chunk
    return wire.SearchResult(
        file_id=chunk.document_id,
        filename=filename_of(hit.metadata, hit.title, chunk.document_id),
        score=hit.score,
        attributes=dict(attributes_of(hit.metadata, hit.title)),
        content=[wire.TextPart(type="text", text=chunk.text)],
        chunk_id=chunk.id,
        span=to_span(chunk.span),
        headings=list(chunk.headings),
        page=chunk.page,
        scores=Scores(dense=hit.dense_score, sparse=hit.sparse_score, rerank=hit.rerank_score),
    )


def to_results(questions: list[str], hits: Sequence[Hit]) -> wire.SearchResultsPage:
    return wire.SearchResultsPage(
        object="vector_store.search_results.page",
        search_query=questions,
        data=[to_result(hit) for hit in hits],
        has_more=False,
        next_page=None,
    )
