"""What is known of the sources that documents come from, beside the documents: kept in the state.

Knows which files cannot be read, by their hash, and what the last sync of each source saw.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from llm_api.core.errors import LLMAPIError
from llm_api.core.rag.files import UnreadableFile
from llm_api.core.state.records import SourceFailure, StoredSync
from llm_api.core.state.state import State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncNote:
    """What a sync saw of a source. `changed` are hashes of files whose documents are older.

    `gone` are documents without a file. Of either, only the first are kept.
    """

    files: int
    is_complete: bool
    changed: Mapping[str, str] = field(default_factory=dict)
    gone: Sequence[str] = ()


class SourceMemory:
    """`owner` is the identity of a key, and sees its own notes alone."""

    def __init__(self, state: State, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    async def failures(
        self, owner: str, collection: str, ids: Sequence[str] | None = None
    ) -> Mapping[str, SourceFailure]:
        """By document: of these, a few, or of all. The last one of each."""
        own = await self._state.of(owner)
        return {one.document_id: one for one in await own.sources.failures(collection, ids)}

    async def note_failures(
        self, owner: str, collection: str, files: Sequence[UnreadableFile]
    ) -> None:
        """Remember files that cannot be read. Where that fails, they are tried once more."""
        if not files:
            return
        now = self._clock()
        failures = [SourceFailure(one.id, one.digest, one.reason, now) for one in files]
        try:
            await (await self._state.of(owner)).sources.remember_failures(collection, failures)
        except LLMAPIError as error:
            log.warning("unreadable files are not remembered: %s", error.message)

    async def forget_failures(self, owner: str, collection: str, ids: Sequence[str]) -> None:
        """Have these files tried again."""
        if ids:
            await (await self._state.of(owner)).sources.forget_failures(collection, ids)

    async def last_sync(self, owner: str, collection: str, source: str) -> SyncNote | None:
        stored = await (await self._state.of(owner)).sources.get_sync(collection, source)
        return None if stored is None else _note(stored)

    async def note_sync(self, owner: str, collection: str, source: str, note: SyncNote) -> None:
        body = json.dumps(asdict(note))
        own = await self._state.of(owner)
        await own.sources.save_sync(collection, StoredSync(source, self._clock(), body))

    async def syncs(self, owner: str, collection: str) -> Sequence[tuple[str, float, SyncNote]]:
        """Each source with the time of its last sync and what it saw, the latest first."""
        own = await self._state.of(owner)
        stored = await own.sources.syncs(collection)
        return [(one.source, one.synced_at, _note(one)) for one in stored]


def _note(stored: StoredSync) -> SyncNote:
    return SyncNote(**json.loads(stored.body))
