"""Runs the jobs of one kind that wait, one at a time: a second would only make both slower."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from llm_api.core.errors import LLMAPIError
from llm_api.core.state.records import JobEnd, StoredJob
from llm_api.core.state.state import State
from llm_api.core.utils.background_loop import looping
from llm_api.core.utils.long_work import to_the_end

if TYPE_CHECKING:
    from llm_api.core.state.job_queue import JobQueue

log = logging.getLogger(__name__)

NOTE_SECONDS: Final = 0.25
"""How often it is stored how far a job is, and seen whether it is cancelled."""
LOOK_SECONDS: Final = 1.0
"""How often it is seen whether a job waits that another process was given."""


class Work(Protocol):
    """What is done for a job."""

    async def run(self) -> None:
        """To its end. What it raises fails the job; a LLMAPIError says why."""

    async def store(self) -> bool:
        """Keep how far it is; whether the job goes on: nobody has cancelled it."""


Begin: TypeAlias = Callable[["JobQueue", StoredJob], Work]


@asynccontextmanager
async def running(state: State, kind: str, begin: Begin) -> AsyncGenerator[None, None]:
    """Jobs are run inside; the one that runs at the end is left to who comes next."""
    async with looping(_Runner(state, kind, begin).turn, f"{kind}-jobs"):
        yield


@dataclass(frozen=True, slots=True)
class _Runner:
    state: State
    kind: str
    begin: Begin

    async def turn(self) -> None:
        """One job, or a wait for it."""
        await self.state.used()
        queue = await self.state.queue(self.kind)
        if (job := await queue.claim()) is None:
            await queue.changed(LOOK_SECONDS)
        else:
            await self._run_job(queue, job)

    async def _run_job(self, queue: "JobQueue", job: StoredJob) -> None:
        """To its end, or to this process's: then it is left to another."""
        work = self.begin(queue, job)
        running = asyncio.create_task(work.run(), name=job.id)
        try:
            while not running.done():
                await asyncio.wait([running], timeout=NOTE_SECONDS)
                if not await work.store():
                    running.cancel()
                    await asyncio.wait([running])
            await work.store()
            await queue.end(job.id, *_end_of(job.id, running))
        except asyncio.CancelledError:
            running.cancel()
            await to_the_end(_leave(queue, job, running, work))
            raise
        except BaseException:
            running.cancel()
            await asyncio.wait([running])
            raise


async def _leave(
    queue: "JobQueue", job: StoredJob, running: "asyncio.Task[None]", work: Work
) -> None:
    await asyncio.wait([running])
    await work.store()
    await queue.release(job.id)


def _end_of(job_id: str, running: "asyncio.Task[None]") -> tuple[JobEnd, str]:
    """How the job of this task ended, and why."""
    if running.cancelled():
        return "cancelled", ""
    if (error := running.exception()) is None:
        return "done", ""
    if isinstance(error, LLMAPIError):
        return "failed", " ".join(error.message.split())
    log.error("%s failed", job_id, exc_info=error)
    return "failed", "An internal error; the log says more."
