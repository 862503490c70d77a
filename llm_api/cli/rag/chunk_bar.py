"""The bar of an ingest in the terminal: chunks, files, and the time that is left."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

from rich.progress import BarColumn, Progress, TextColumn

from llm_api.cli.rag.pace import IngestPace, in_time
from llm_api.cli.terminal import notes, print_prose
from llm_api.core.rag.reports import DocumentOutcome

_TICK_SECONDS = 0.25


def new_bar() -> Progress:
    """Drawn on a terminal alone; gone when it is done."""
    console = notes()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None if console.width < 100 else 40),
        TextColumn("{task.fields[said]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        expand=console.width < 100,
    )


class ChunkBar:
    """Draws how far documents of these sizes are. Starts with nothing to do."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("looking", total=None, said="")
        self._pace = IngestPace({}, 0.0)
        self._files = self._stored = 0

    def looking(self, done: int, total: int) -> None:
        """So many files have been read to be compared."""
        said = f"{done} of {total} files"
        self._progress.update(self._task, completed=done, total=total, said=said)

    @asynccontextmanager
    async def storing(
        self, sizes: Mapping[str, int], what: str = "storing"
    ) -> AsyncGenerator[None, None]:
        """Until the end of the block the bar moves by itself."""
        self._pace = IngestPace(sizes, time.monotonic())
        self._files, self._stored = len(sizes), 0
        self._progress.reset(self._task, description=what, total=None, said="")
        ticking = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking

    def stored(self, outcome: DocumentOutcome) -> None:
        """One of them is stored, or has failed."""
        self._stored += 1
        self._pace.stored(outcome.document_id, outcome.chunks, time.monotonic())

    def say(self, line: str) -> None:
        """A line above the bar."""
        print_prose(self._progress.console, line)

    async def _tick(self) -> None:
        while True:
            now = self._pace.at(time.monotonic())
            files = f"{self._stored} of {self._files} files"
            if now.seconds_left is None:
                said, total = f"about {now.total} chunks, {files}", None
            else:
                left = in_time(now.seconds_left)
                said = f"{now.chunks} of about {now.total} chunks, {files}, {left} left"
                total = now.total
            self._progress.update(self._task, completed=now.chunks, total=total, said=said)
            await asyncio.sleep(_TICK_SECONDS)
