"""What an ingest does with the files it has found: compare, delete, store, and tell of each.

The same for a server and without one: both are a `Library`. Tells on the terminal.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from llm_api.cli.rag.chunk_bar import ChunkBar, new_bar
from llm_api.cli.rag.files import FoundFile, FoundSource
from llm_api.cli.rag.fitness import MAX_FILE_BYTES, Unfit
from llm_api.cli.terminal import say
from llm_api.core.errors import LLMAPIError, UnreadableFileError
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.sync import Deletion, SourceListing, SyncOutcome
from llm_api.core.utils.machine import format_bytes

LISTED_AT_ONCE: Final = 20_000
"""Files of one sync: a server takes no more."""
_MAX_ID: Final = 512
_MAX_TOLD: Final = 5


class Library(Protocol):
    """A collection that files go into."""

    async def sync(
        self, listing: SourceListing, deletion: Deletion | None, *, retries_failed: bool
    ) -> SyncOutcome:
        """As `core.rag.sync.sync`."""
        ...

    async def store(self, files: Sequence[FoundFile], report: Report) -> None:
        """Store files, and report each."""
        ...


@dataclass(frozen=True, slots=True)
class Choices:
    """Without a `deletion`, documents stay whose files are gone.

    What is `said` of files that are not stored is said once.
    """

    collection: str
    deletion: Deletion | None = None
    retries_failed: bool = False
    said: set[str] = field(default_factory=set)


async def ingest_sources(
    sources: Sequence[FoundSource], library: Library, choices: Choices
) -> Counter[str]:
    """How often each thing happened. Tells of failures and warnings on the way.

    Where the library is lost, the error says what is stored, and that a rerun goes on.
    """
    with new_bar() as progress:
        teller = _Teller(ChunkBar(progress), choices.said)
        wanted: list[FoundFile] = []
        for source in sources:
            hashes = teller.hashes(source)
            for listing in _listings(source, hashes, choices.collection, teller.is_whole(source)):
                deletion = choices.deletion if listing.is_complete else None
                found = await library.sync(listing, deletion, retries_failed=choices.retries_failed)
                teller.compared(found, source)
                wanted += [source.files[id] for id in (*found.new, *found.changed)]
        try:
            if wanted:
                await teller.store(wanted, library)
        finally:
            teller.tell_skipped()
    return teller.counts


def tell(counts: Mapping[str, int]) -> None:
    """The last line."""
    said = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if count)
    say(said or "there are no files")


def _listings(
    source: FoundSource, hashes: Mapping[str, str], collection: str, is_complete: bool
) -> Iterator[SourceListing]:
    """What the source has, in ranges of its documents' ids that lack none; one at least."""
    ids = sorted(hashes)
    starts = range(0, max(len(ids), 1), LISTED_AT_ONCE)
    for start in starts:
        page = ids[start : start + LISTED_AT_ONCE]
        is_last = start == starts[-1]
        if page or is_complete:
            yield SourceListing(
                collection,
                source.name,
                source.root,
                {id: hashes[id] for id in page},
                is_complete,
                after=ids[start - 1] if start else None,
                through=None if is_last else page[-1],
            )


class _Teller:
    """Counts, and says in a line each what a person should know."""

    def __init__(self, bar: ChunkBar, said: set[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._bar = bar
        self._said = said
        self._wanted: dict[str, FoundFile] = {}
        self._unreadable: set[str] = set()
        self._unfit: defaultdict[Unfit, list[str]] = defaultdict(list)
        self._pictures: dict[str, str] = {}

    def hashes(self, source: FoundSource) -> dict[str, str]:
        """SHA-256 by document of the files that can be stored; says which cannot be opened."""
        found = {}
        for number, (id, file) in enumerate(source.files.items()):
            self._bar.looking(number, len(source.files))
            try:
                if len(id) > _MAX_ID:
                    raise UnreadableFileError(f"Its path is longer than {_MAX_ID} characters.")
                if (unfit := file.unfit()) is None:
                    found[id] = file.digest
                else:
                    large = f"{id} ({format_bytes(file.size)})"
                    self._unfit[unfit].append(large if unfit == "too large" else id)
            except UnreadableFileError as error:
                self._unreadable.add(source.root)
                self._failed(id, error.message.removeprefix(f"{file.name}: "))
        return found

    def is_whole(self, source: FoundSource) -> bool:
        """Whether what it lacks is gone: a file that cannot be opened is there."""
        return source.is_complete and source.root not in self._unreadable

    def compared(self, found: SyncOutcome, source: FoundSource) -> None:
        self.counts["unchanged"] += found.unchanged
        self.counts["running"] += len(found.running)
        self.counts["deleted"] += found.deleted
        for id, reason in found.failed.items():
            if source.files[id].is_picture():
                self._pictures[id] = reason
            else:
                self._failed(id, f"{reason} It has not changed since; see --retry-failed.")
        if left := found.gone if not found.deleted else ():
            self.counts["gone"] += len(left)
            self._say(
                f"{_named(left)}: gone from the folder, and still stored; --prune deletes it."
            )

    async def store(self, files: Sequence[FoundFile], library: Library) -> None:
        """Raises what the library does, with what is stored until then."""
        self._wanted = {file.id: file for file in files}
        try:
            # A picture may become a few words, or none: its bytes tell nothing of what is to come.
            sizes = {file.id: 0 if file.is_picture() else file.size for file in files}
            async with self._bar.storing(sizes):
                await library.store(files, self._stored)
        except asyncio.CancelledError:
            self._say(f"Interrupted. {self._so_far(len(files))}")
            raise
        except LLMAPIError as error:
            error.message = f"{error.message} {self._so_far(len(files))}"
            raise

    def tell_skipped(self) -> None:
        """Which files were left out, and why."""
        limit = format_bytes(MAX_FILE_BYTES)
        whys = {"empty": "empty", "binary": "no text", "too large": f"larger than {limit}"}
        for unfit, names in self._unfit.items():
            self.counts["skipped"] += len(names)
            self._say_once(f"skipped, {whys[unfit]}: {_named(names)}")
        if self._pictures:
            self.counts["skipped"] += len(self._pictures)
            why = next(iter(self._pictures.values()))
            self._say_once(f"skipped, pictures: {_named([*self._pictures])}. {why}")

    def _stored(self, outcome: DocumentOutcome) -> None:
        """As `Report`."""
        id = outcome.document_id
        self._bar.stored(outcome)
        if outcome.what == "failed" and id in self._wanted and self._wanted[id].is_picture():
            self._pictures[id] = outcome.reason
            return
        self.counts[outcome.what] += 1
        for sentence in (outcome.reason, *outcome.warnings):
            if sentence:
                self._say(f"{id}: {sentence}")

    def _so_far(self, files: int) -> str:
        stored = sum(self.counts[what] for what in ("created", "replaced", "updated"))
        return (
            f"{stored} of {files} files are stored; the same command again goes on with the rest."
        )

    def _failed(self, id: str, reason: str) -> None:
        self.counts["failed"] += 1
        self._say(f"{id}: {reason}")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)

    def _say(self, line: str) -> None:
        self._bar.say(line)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_TOLD} more" if len(names) > _MAX_TOLD else ""
    return ", ".join(names[:_MAX_TOLD]) + more
