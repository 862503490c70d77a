"""Syncs, wire to domain and back. Pure."""

from llm_api.api.models.rag import sync as wire
from llm_api.core.errors import InvalidRequestError
from llm_api.core.rag.files import document_id
from llm_api.core.rag.sync import Deletion, SourceListing, SyncOutcome


def to_listing(request: wire.SyncRequest) -> SourceListing:
    """What the client has. Blocks. Raises InvalidRequestError for paths that are none of it."""
    source = request.source.rstrip("/")
    files = {}
    for index, file in enumerate(request.files):
        if file.path in files:
            raise _refusal(index, f"{file.path!r} is listed twice.")
        if file.path != document_id(file.path):
            raise _refusal(index, "A path has no '.', '..' or empty parts: send 'docs/guide.md'.")
        if not file.path.startswith(f"{source}/"):
            raise _refusal(index, f"{file.path!r} does not begin with {source + '/'!r}.")
        files[file.path] = file.sha256
    return SourceListing(
        request.collection,
        source,
        request.root or source,
        files,
        request.is_complete,
        request.after,
        request.through,
    )


def to_deletion(request: wire.SyncRequest) -> Deletion | None:
    """None: nothing is deleted."""
    if not (request.is_complete and request.delete):
        return None
    return Deletion(request.max_deleted_share, request.confirm)


def to_sync_answer(listing: SourceListing, found: SyncOutcome) -> wire.SyncAnswer:
    return wire.SyncAnswer(
        object="rag.sync",
        collection=listing.collection,
        source=listing.source,
        new=list(found.new),
        changed=list(found.changed),
        running=list(found.running),
        failed=[wire.FailedFile(path=id, error=why) for id, why in found.failed.items()],
        gone=list(found.gone),
        deleted=found.deleted,
        unchanged=found.unchanged,
    )


def _refusal(index: int, message: str) -> InvalidRequestError:
    return InvalidRequestError(message, param=f"files[{index}].path")
