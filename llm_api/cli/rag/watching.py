"""Folders ingested again and again, as they change: `llm-api ingest --watch`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from watchfiles import awatch

from llm_api.cli.rag.files import FoundFile, FoundSource
from llm_api.cli.rag.ingesting import Choices, Library, ingest_sources, tell
from llm_api.cli.terminal import fail, notes
from llm_api.core.errors import GenerationError, LLMAPIError, UnavailableError

QUIET_MILLISECONDS: Final = 500
"""How long nothing changes before what has changed is stored, and not much longer."""
MOST_MILLISECONDS: Final = 5_000
RETRY_MILLISECONDS: Final = 10_000
"""After which a server that did not answer is asked again."""

Find = Callable[[], Sequence[FoundSource]]


async def watch(paths: Sequence[Path], find: Find, library: Library, choices: Choices) -> None:
    """Until it is cancelled. What goes wrong in a round is said, and tried again in the next."""
    rounds = _Rounds(find, library, choices)
    await rounds.run()
    notes().print("watching; Ctrl-C ends it")
    changes = awatch(
        *paths,
        step=QUIET_MILLISECONDS,
        debounce=MOST_MILLISECONDS,
        rust_timeout=RETRY_MILLISECONDS,
        yield_on_timeout=True,
        watch_filter=None,
    )
    is_first = True  # what has changed before the watching began is not told
    async for changed in changes:
        if changed or rounds.is_behind or is_first:
            await rounds.run()
        is_first = False


class _Rounds:
    """A file whose size and time have not changed is not read again."""

    def __init__(self, find: Find, library: Library, choices: Choices) -> None:
        self.is_behind = False
        self._find = find
        self._library = library
        self._choices = choices
        self._files: dict[str, FoundFile] | None = None

    async def run(self) -> None:
        try:
            sources = [self._renewed(source) for source in self._find()]
            files = {file.id: file for source in sources for file in source.files.values()}
            if files == self._files and not self.is_behind:
                return
            counts = await ingest_sources(sources, self._library, self._choices)
        except LLMAPIError as error:
            self.is_behind = isinstance(error, UnavailableError | GenerationError)
            fail(error.message)
            return
        self._files, self.is_behind = files, False
        tell(counts)

    def _renewed(self, source: FoundSource) -> FoundSource:
        known = self._files or {}
        files = {
            id: old if (old := known.get(id)) == file and old is not None else file
            for id, file in source.files.items()
        }
        return FoundSource(source.name, source.root, files, source.is_complete)
