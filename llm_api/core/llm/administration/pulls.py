"""Models on their way from the hub: asked for, followed, cancelled; gone on with after a restart.

    queued ──► running ──► done        the model is served
      ▲  │        │ └────► failed      the hub, the disk or the file was not as it should be
      │  │        └──────► cancelled   what has arrived stays for the next pull
      │  └───────────────► cancelled
      └─ a pull that had not ended when its server did

One model is pulled once at a time, and few models at once; the others wait.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from uuid import uuid4

from llm_api.core.errors import (
    JobNotFoundError,
    LLMAPIError,
    OverloadedError,
    TransferEndedError,
)
from llm_api.core.llm.administration.book import BegunPull, BookContents, ModelBook
from llm_api.core.llm.files.hub_names import to_hub_name
from llm_api.core.llm.files.pull_process import ModelFile, find_on_hub, pull
from llm_api.core.utils.long_work import to_the_end

log = logging.getLogger(__name__)

AT_ONCE: Final = 2
MAX_UNFINISHED: Final = 16
KEPT: Final = 100
"""Pulls that have ended and are still told of."""
LOOK_SECONDS: Final = 0.25
PAUSES_SECONDS: Final = (1.0, 4.0, 16.0, 60.0)
"""Before a transfer that was cut is taken up again; anew after each byte that arrives."""

PullState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class FileProgress:
    """`done` of the `size` bytes of a file are here."""

    label: str
    digest: str
    size: int
    done: int


@dataclass(frozen=True, slots=True)
class Pull:
    """A look at a pull. Times are in Unix seconds, None while they have not come.

    `name` is what was asked for; `model` the id that the model is served by once it is here.
    `bytes_per_second` is the mean since this transfer began.
    """

    id: str
    name: str
    repo_id: str
    filename: str
    created_at: float
    state: PullState = "queued"
    files: Sequence[FileProgress] = ()
    bytes_per_second: float | None = None
    error: str = ""
    model: str | None = None
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def has_ended(self) -> bool:
        return self.state not in ("queued", "running")

    @property
    def total(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def done(self) -> int:
        return sum(file.done for file in self.files)


@dataclass(slots=True)
class _Run:
    """A pull that this process knows of. `at_first` are the bytes that were here when it began."""

    pull: Pull
    files: Sequence[ModelFile] = ()
    at_first: int = 0
    is_cancelled: bool = False
    task: "asyncio.Task[None] | None" = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, now: float) -> Pull:
        """The pull as it is now."""
        if self.pull.has_ended:
            return self.pull
        files = [FileProgress(one.label, one.digest, one.size, one.arrived()) for one in self.files]
        since = now - (self.pull.started_at or now)
        arrived = sum(one.done for one in files) - self.at_first
        speed = max(arrived, 0) / since if since > 0 else None
        return replace(self.pull, files=files, bytes_per_second=speed)


OnPulled: TypeAlias = Callable[[BegunPull], Coroutine[Any, Any, str]]
"""Serves a model that has arrived; its id. Raises LLMAPIError where it cannot be served."""


class Pulls:
    """Belongs to one event loop. `running()` must be entered."""

    def __init__(self, book: ModelBook, models_dir: Path, on_pulled: OnPulled) -> None:
        self._book = book
        self._folder = models_dir
        self._on_pulled = on_pulled
        self._runs: dict[str, _Run] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._looking = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def running(self, *, goes_on: bool) -> AsyncGenerator[None, None]:
        """Goes on with what had not ended, if it may; what has not at the end is left for later."""
        try:
            for begun in self._book.contents().pulls.values() if goes_on else ():
                self._begin(begun)
            yield
        finally:
            tasks = [run.task for run in self._runs.values() if run.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def start(self, name: str) -> tuple[Pull, bool]:
        """The pull of the model that the name means, and whether it is new: it may be under way.

        Raises NotOnHubError with the candidates, NoDiskSpaceError, another DownloadError, or
        OverloadedError.
        """
        meant = to_hub_name(name)
        async with self._looking:
            filename, files = await find_on_hub(meant, self._folder)
        for run in self._runs.values():
            is_same = (run.pull.repo_id, run.pull.filename) == (meant.repo_id, filename)
            if is_same and not (run.pull.has_ended or run.is_cancelled):
                return run.look(time.time()), False
        if sum(not run.pull.has_ended for run in self._runs.values()) >= MAX_UNFINISHED:
            raise OverloadedError("Enough pulls wait already.", retry_after_seconds=60.0)
        begun = BegunPull(f"pull_{uuid4().hex}", name, meant.repo_id, filename, time.time())
        run = self._begin(begun, files)
        return run.look(time.time()), True

    def all(self) -> list[Pull]:
        """The newest first."""
        now = time.time()
        return [run.look(now) for run in reversed(self._runs.values())]

    def get(self, id: str) -> Pull:
        """Raises JobNotFoundError."""
        return self._run_of(id).look(time.time())

    async def cancel(self, id: str) -> Pull:
        """End a pull, if it has not. Raises JobNotFoundError."""
        run = self._run_of(id)
        if not run.pull.has_ended and run.task is not None:
            run.is_cancelled = True
            run.task.cancel()
            await asyncio.wait([run.task])
            if not run.pull.has_ended:  # it had not begun
                self._end(run, "cancelled")
                run.ended.set()
        return run.pull

    async def follow(self, id: str) -> AsyncGenerator[Pull, None]:
        """Looks at a pull, every now and then, the last when it has ended."""
        run, last = self._run_of(id), None
        while True:
            look = run.look(time.time())
            if look.has_ended or (look.state, look.files) != last:
                yield look
            if look.has_ended:
                return
            last = look.state, look.files
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await run.ended.wait()
            except TimeoutError:
                pass

    def _run_of(self, id: str) -> _Run:
        if id not in self._runs:
            raise JobNotFoundError(
                f"There is no pull {id!r}; those that ended long ago are forgotten.", param="job_id"
            )
        return self._runs[id]

    def _begin(self, begun: BegunPull, files: Sequence[ModelFile] = ()) -> _Run:
        pull = Pull(begun.id, begun.name, begun.repo_id, begun.filename, begun.created_at)
        run = self._runs[begun.id] = _Run(pull, files)
        run.task = asyncio.create_task(self._carry_out(run, begun), name=begun.id)
        ended = [id for id, one in self._runs.items() if one.pull.has_ended]
        for id in ended[: max(0, len(ended) - KEPT)]:
            del self._runs[id]
        return run

    async def _carry_out(self, run: _Run, begun: BegunPull) -> None:
        try:
            await self._book.change(lambda known: _with(known, begun))
            async with self._turns:
                run.pull = replace(run.pull, state="running", started_at=time.time())
                await self._transfer(run)
                # To the end: it is served, or not, but not remembered without.
                self._end(run, "done", model=await to_the_end(self._on_pulled(begun)))
        except asyncio.CancelledError:
            if not run.is_cancelled:
                raise  # the server stops: the book remembers it
            self._end(run, "cancelled")
        except LLMAPIError as error:
            self._end(run, "failed", error=error.message)
        except Exception:
            # The border of the task: who follows must be told.
            log.exception("pulling %s failed", begun.name)
            self._end(run, "failed", error="An internal error; the log says more.")
        try:
            await self._book.change(lambda known: _without(known, begun))
        except LLMAPIError as error:
            log.error("a pull that has ended is begun again after a restart: %s", error.message)
        run.ended.set()

    async def _transfer(self, run: _Run) -> None:
        def found(files: Sequence[ModelFile]) -> None:
            run.files = run.files or files  # those that are here are not found again
            run.at_first = sum(one.arrived() for one in run.files)

        pauses = list(PAUSES_SECONDS)
        while True:
            before = run.look(time.time()).done
            try:
                await pull(run.pull.repo_id, run.pull.filename, self._folder, found)
                return
            except TransferEndedError as error:
                if run.look(time.time()).done > before:
                    pauses = list(PAUSES_SECONDS)
                if not pauses:
                    raise
                log.info("%s is taken up again: %s", run.pull.name, error.message)
                await asyncio.sleep(pauses.pop(0))

    def _end(
        self, run: _Run, state: PullState, *, error: str = "", model: str | None = None
    ) -> None:
        now = time.time()
        run.pull = replace(run.look(now), state=state, error=error, model=model, ended_at=now)


def _with(known: BookContents, begun: BegunPull) -> BookContents:
    return replace(known, pulls={**known.pulls, begun.id: begun})


def _without(known: BookContents, begun: BegunPull) -> BookContents:
    return replace(known, pulls={id: one for id, one in known.pulls.items() if id != begun.id})
