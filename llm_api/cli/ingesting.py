"""What an ingest does with the files it has found: compare, delete, store, and tell of each.

The same for a server and without one: both are a `Library`. Tells on the terminal.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from llm_api.cli.files import FoundFile, FoundSource
from llm_api.cli.terminal import harmless, notes, output
from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.reports import DocumentOutcome, Report
from llm_api.core.rag.sync import Deletion, SourceListing, SyncOutcome

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
    """Without a `deletion`, documents stay whose files are gone."""

    collection: str
    deletion: Deletion | None = None
    retries_failed: bool = False


async def ingest_sources(
    sources: Sequence[FoundSource], library: Library, choices: Choices
) -> Counter[str]:
    """How often each thing happened. Tells of failures and warnings on the way."""
    with _progress() as progress:
        teller = _Teller(progress)
        wanted: list[FoundFile] = []
        for source in sources:
            hashes = teller.hashes(source)
            is_whole = source.is_complete and len(hashes) == len(source.files)
            for listing in _listings(source, hashes, choices.collection, is_complete=is_whole):
                deletion = choices.deletion if is_whole else None
                found = await library.sync(listing, deletion, retries_failed=choices.retries_failed)
                teller.compared(found)
                wanted += [source.files[id] for id in (*found.new, *found.changed)]
        if wanted:
            teller.begin(len(wanted))
            await library.store(wanted, teller.stored)
    return teller.counts


def tell(counts: Counter[str]) -> None:
    """The last line."""
    said = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if count)
    output().print(said or "there are no files")


def _listings(
    source: FoundSource, hashes: Mapping[str, str], collection: str, *, is_complete: bool
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

    def __init__(self, progress: Progress) -> None:
        self.counts: Counter[str] = Counter()
        self._progress = progress
        self._task = progress.add_task("looking", total=None)

    def hashes(self, source: FoundSource) -> dict[str, str]:
        """SHA-256 by document of the files that can be opened; says which cannot."""
        found = {}
        self._begin("looking", len(source.files))
        for id, file in source.files.items():
            try:
                if len(id) > _MAX_ID:
                    raise UnreadableFileError(f"Its path is longer than {_MAX_ID} characters.")
                found[id] = file.digest
            except UnreadableFileError as error:
                self._failed(id, error.message.removeprefix(f"{file.name}: "))
            self._progress.advance(self._task)
        return found

    def compared(self, found: SyncOutcome) -> None:
        self.counts["unchanged"] += found.unchanged
        self.counts["running"] += len(found.running)
        self.counts["deleted"] += found.deleted
        for id, reason in found.failed.items():
            self._failed(id, f"{reason} It has not changed since; see --retry-failed.")
        if left := found.gone if not found.deleted else ():
            self.counts["gone"] += len(left)
            named = ", ".join(left[:_MAX_TOLD]) + (" ..." if len(left) > _MAX_TOLD else "")
            self._say(f"{named}: gone from the folder, and still stored; --prune deletes such.")

    def begin(self, files: int) -> None:
        """Storing begins."""
        self._begin("storing", files)

    def stored(self, outcome: DocumentOutcome) -> None:
        """As `Report`."""
        self.counts[outcome.what] += 1
        self._progress.advance(self._task)
        for sentence in (outcome.reason, *outcome.warnings):
            if sentence:
                self._say(f"{outcome.document_id}: {sentence}")

    def _begin(self, what: str, total: int) -> None:
        self._progress.reset(self._task, description=what, total=total)

    def _failed(self, id: str, reason: str) -> None:
        self.counts["failed"] += 1
        self._say(f"{id}: {reason}")

    def _say(self, line: str) -> None:
        self._progress.console.print(harmless(line), markup=False, soft_wrap=True)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes(),
    )
