"""What a client has of a source, compared with what is stored of it: what to send, what to delete.

A file is known by its document's id and by the SHA-256 of its bytes:

    1. stored with this hash              unchanged
    2. a job is to store it               running
    3. known to be unreadable             failed: not asked for again until its bytes change
    4. stored with another hash           changed
    5. otherwise                          new

A document that was a file of this source is `gone` where a complete list does not name it. Only
such a list deletes, and never more than a share of the source that is named, unless confirmed.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from llm_api.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    InvalidRequestError,
    TooManyDeletionsError,
)
from llm_api.core.rag.files import DIGEST_FIELD, ROOT_FIELD
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.rag.sources import SourceMemory, SyncNote
from llm_api.core.rag.types import Metadata
from llm_api.core.rag.vector_store import SHORT_PAGE, VectorStore, every_document

MARK: Final = "@"
"""In a source's root: what stands behind it tells folders of one name apart."""
DEFAULT_DELETED_SHARE: Final = 0.2
FEW: Final = 256
"""Files that are looked up one by one; of more, the whole collection is read."""
MAX_NOTED: Final = 1_000
"""Documents of a source that are not as it has them, which a report can name."""


@dataclass(frozen=True, slots=True)
class SourceListing:
    """What a client has of a source: hashes of files by document, all below `source/`.

    `root` tells the source from others of that name; without a mark in it there are no others.
    Complete, it names all files whose ids come after `after` and not after `through`.
    """

    collection: str
    source: str
    root: str
    files: Mapping[str, str]
    is_complete: bool = False
    after: str | None = None
    through: str | None = None

    def covers(self, document_id: str) -> bool:
        """Whether it would name this document if the source had it."""
        return (
            document_id.startswith(f"{self.source}/")
            and (self.after is None or document_id > self.after)
            and (self.through is None or document_id <= self.through)
        )

    def owns(self, root: str | None) -> bool:
        """Whether a document with this root is of this source."""
        return root == self.root or (root is None and MARK not in self.root)


@dataclass(frozen=True, slots=True)
class Deletion:
    """That documents without a file go: at most this share of the source's, unless confirmed."""

    max_share: float = DEFAULT_DELETED_SHARE
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """What a document's metadata tells of the file it was: the hash of its bytes, its root."""

    digest: str | None
    root: str | None

    @classmethod
    def of(cls, metadata: Metadata) -> "SourceFile":
        digest, root = metadata.get(DIGEST_FIELD), metadata.get(ROOT_FIELD)
        return cls(
            digest if isinstance(digest, str) else None, root if isinstance(root, str) else None
        )


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """Ids of documents by what is to be done, ascending; `failed` with reasons.

    `deleted` of the `gone` were deleted.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    unchanged: int = 0
    deleted: int = 0


async def sync(
    retrieval: Retrieval,
    owner: str,
    listing: SourceListing,
    deletion: Deletion | None = None,
    *,
    retries_failed: bool = False,
) -> SyncOutcome:
    """Say what of a source is to be stored, and delete what is gone from it, if that is wanted.

    Raises TooManyDeletionsError before anything is deleted, and InvalidRequestError where files
    would replace those of another folder.
    """
    if deletion is not None and not listing.is_complete:
        raise InvalidRequestError("Only a complete list deletes.", param="is_complete")
    stored = await _stored(retrieval.store, listing)
    memory = retrieval.sources
    failures = {} if retries_failed else await _failures(memory, owner, listing)
    running = await retrieval.jobs.running_files(owner, listing.collection)
    found = await asyncio.to_thread(compare, listing, stored, running, failures)
    if deletion is not None and found.gone:
        of_source = sum(listing.covers(id) and listing.owns(one.root) for id, one in stored.items())
        _check_share(listing.source, len(found.gone), of_source, deletion)
        deleted = await retrieval.store.delete_documents(listing.collection, found.gone)
        found = replace(found, deleted=deleted)
    await _note(memory, owner, listing, found)
    return found


def compare(
    listing: SourceListing,
    stored: Mapping[str, SourceFile],
    running: Mapping[str, str],
    failures: Mapping[str, str],
) -> SyncOutcome:
    """The cases above. Pure. Raises InvalidRequestError for a file of another folder's name."""
    new, changed, at_work = [], [], []
    failed: dict[str, str] = {}
    unchanged = 0
    for id, digest in sorted(listing.files.items()):
        old = stored.get(id)
        if old is not None and old.digest == digest:
            unchanged += 1  # 1
            continue
        if old is not None and old.root not in (None, listing.root) and MARK in listing.root:
            raise InvalidRequestError(
                f"{id!r} is stored from another folder of that name, and would be replaced:"
                " give this one a name of its own with `--source NAME`, or say by the same name"
                " that it takes the other's place. Nothing was stored.",
                param="files",
            )
        if running.get(id) == digest:
            at_work.append(id)  # 2
        elif id in failures:
            failed[id] = failures[id]  # 3
        elif old is not None:
            changed.append(id)  # 4
        else:
            new.append(id)  # 5
    gone = _gone(listing, stored) if listing.is_complete else ()
    return SyncOutcome(
        tuple(new), tuple(changed), tuple(at_work), failed, gone, unchanged=unchanged
    )


def _gone(listing: SourceListing, stored: Mapping[str, SourceFile]) -> tuple[str, ...]:
    return tuple(
        sorted(
            id
            for id, one in stored.items()
            if id not in listing.files
            and one.digest is not None
            and listing.covers(id)
            and listing.owns(one.root)
        )
    )


def _check_share(source: str, gone: int, of_source: int, deletion: Deletion) -> None:
    if deletion.is_confirmed or gone <= deletion.max_share * of_source:
        return
    raise TooManyDeletionsError(
        f"The list lacks {gone} of the {of_source} documents of {source!r}, more than the share of"
        f" {deletion.max_share:g} that may go unasked: nothing was deleted. Confirm it (`confirm`,"
        " or --confirm), or send the whole list.",
        param="confirm",
    )


async def _stored(store: VectorStore, listing: SourceListing) -> Mapping[str, SourceFile]:
    """What is stored of the listed files; of a complete list, or a long one, of all others too."""
    is_short = not listing.is_complete and len(listing.files) <= FEW
    try:
        if is_short:
            return {id: one async for id, one in _looked_up(store, listing)}
        return {
            one.id: SourceFile.of(one.metadata)
            async for one in every_document(store, listing.collection, SHORT_PAGE)
            if one.id.startswith(f"{listing.source}/")
        }
    except CollectionNotFoundError:
        return {}


async def _failures(memory: SourceMemory, owner: str, listing: SourceListing) -> Mapping[str, str]:
    """Why listed files cannot be read as they are. Forgets those that the source has no more."""
    ids = None if listing.is_complete or len(listing.files) > FEW else [*listing.files]
    known = await memory.failures(owner, listing.collection, ids)
    if listing.is_complete:
        left = [id for id in known if listing.covers(id) and id not in listing.files]
        await memory.forget_failures(owner, listing.collection, left)
    return {id: one.reason for id, one in known.items() if listing.files.get(id) == one.digest}


async def _looked_up(
    store: VectorStore, listing: SourceListing
) -> AsyncGenerator[tuple[str, SourceFile], None]:
    for id in listing.files:
        try:
            record = await store.get_document(listing.collection, id)
        except DocumentNotFoundError:
            continue
        yield id, SourceFile.of(record.metadata)


async def _note(
    memory: SourceMemory, owner: str, listing: SourceListing, found: SyncOutcome
) -> None:
    """Remember for reports what is not as the source has it. A page adds to those before."""
    before = await memory.last_sync(owner, listing.collection, listing.source)
    changed = {id: listing.files[id] for id in found.changed}
    gone = () if found.deleted else found.gone
    files = len(listing.files)
    if before is not None and (listing.after is not None or not listing.is_complete):
        others = {id: one for id, one in before.changed.items() if id not in listing.files}
        changed = {**others, **changed}
        gone = (*(id for id in before.gone if id not in listing.files and id not in gone), *gone)
        files = before.files + (files if listing.is_complete else 0)
    kept = dict(islice(changed.items(), MAX_NOTED))
    note = SyncNote(files, listing.is_complete, kept, gone[:MAX_NOTED])
    await memory.note_sync(owner, listing.collection, listing.source, note)
