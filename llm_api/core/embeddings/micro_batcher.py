"""Requests that wait at the same moment share batches: one task forms them, one thread computes.

```
event loop                                  the thread that owns the model
encode() ──► queue ──► batch ──────────────► encode a part of a long request
               │                                │ between two of its steps:
               └────► batch of small requests ──► encode them meanwhile
futures ◄── call_soon_threadsafe ◄──────────────┘
```

The event loop owns the queue. A small request, a query foremost, waits for a step of the model.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np

from llm_api.core.embeddings.batch_queue import BatchQueue, TextBatch, TextJob
from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.encoder import EncoderText, Pause, go_on
from llm_api.core.errors import EmbeddingError, OverloadedError, UnavailableError
from llm_api.core.utils.tokens import TokenMeter

log = logging.getLogger(__name__)

Compute: TypeAlias = Callable[[Callable[[], Vectors]], Awaitable[Vectors]]
"""Runs a function on the thread that owns the model, one at a time."""

Encode: TypeAlias = Callable[[Sequence[EncoderText], str | None, Pause], Vectors]

MAX_WAITING_TOKENS = 1_000_000
"""While more wait, nobody else is let in: at 20,000 tokens a second they take 50 seconds."""


@dataclass(slots=True, eq=False)
class _Work:
    """A request under way: its texts, and the vectors that are there."""

    texts: Sequence[EncoderText]
    job: TextJob
    done: "asyncio.Future[Vectors]"
    rows: list[Vectors | None] = field(init=False)
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [None] * len(self.texts)
        self.missing = len(self.texts)


class MicroBatcher:
    """Computes texts in batches of at most `budget` padded tokens. Open it on an event loop."""

    def __init__(
        self,
        encode: Encode,
        compute: Compute,
        budget: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._encode = encode
        self._compute = compute
        self._clock = clock
        self._queue = BatchQueue(budget)
        self._works: dict[TextJob, _Work] = {}
        self._tokens_per_second = 0.0
        self._has_work = asyncio.Event()
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._small_may_wait = False  # a hint to the other thread: whether asking is worth it
        self._task = asyncio.create_task(self._run(), name="embeddings")

    async def encode(
        self,
        texts: Sequence[EncoderText],
        adapter: str | None,
        meter: TokenMeter | None = None,
    ) -> Vectors:
        """The vectors of `texts`, at least one, in their order.

        Raises OverloadedError, UnavailableError or EmbeddingError. Cancelling drops the texts
        that are not computed yet. Counts in `meter` the tokens of those that are, or are under way.
        """
        if self._is_closed:
            raise _closed()
        self._check_room()
        job = TextJob([len(text.ids) for text in texts], adapter)
        work = _Work(texts, job, self._loop.create_future())
        self._works[job] = work
        self._queue.add(job)
        self._has_work.set()
        self._small_may_wait = self._queue.has_small
        try:
            return await work.done
        finally:
            if meter is not None:
                meter.tokens += sum(job.lengths) - job.tokens_left
            self._queue.remove(job)
            del self._works[job]

    async def aclose(self) -> None:
        """End every request with UnavailableError, after the batch that runs. Idempotent."""
        self._is_closed = True
        self._has_work.set()
        await self._task

    def _check_room(self) -> None:
        waiting = self._queue.waiting_tokens
        if waiting > MAX_WAITING_TOKENS:
            raise OverloadedError(
                f"{waiting} tokens wait to be embedded already; try again later.",
                retry_after_seconds=waiting / max(self._tokens_per_second, 1.0),
            )

    async def _run(self) -> None:
        while not self._is_closed:
            batch = self._queue.next_batch()
            if batch is None:
                self._has_work.clear()
                await self._has_work.wait()
            else:
                await self._serve(batch)
        for work in self._works.values():
            _settle(work, _closed())

    async def _serve(self, batch: TextBatch) -> None:
        began = self._clock()
        task = self._task_of(batch)
        pause = self._let_small_pass if batch.is_part else go_on
        try:
            vectors = await self._compute(partial(self._encode, task.texts, batch.adapter, pause))
        except Exception:
            log.exception("a batch of %d texts failed", len(task.texts))
            self._fail(task)
            return
        self._learn_speed(sum(len(text.ids) for text in task.texts), self._clock() - began)
        _deliver(task, vectors)

    def _task_of(self, batch: TextBatch) -> "_Task":
        return _Task([(self._works[job], indices) for job, indices in batch.parts])

    def _fail(self, task: "_Task") -> None:
        for work, _ in task.parts:
            self._queue.remove(work.job)
            _settle(work, EmbeddingError("The model failed on these texts; try again."))

    # The computing thread's side

    def _let_small_pass(self) -> None:
        """Compute a batch of small requests, if any wait, in the middle of a long one."""
        if not self._small_may_wait:
            return
        asked = asyncio.run_coroutine_threadsafe(self._take_small(), self._loop)
        if (taken := asked.result()) is None:
            return
        task, adapter = taken
        try:
            vectors = self._encode(task.texts, adapter, go_on)
        except Exception:
            log.exception("a batch of %d texts failed", len(task.texts))
            self._loop.call_soon_threadsafe(self._fail, task)
        else:
            self._loop.call_soon_threadsafe(_deliver, task, vectors)

    async def _take_small(self) -> "tuple[_Task, str | None] | None":
        batch = self._queue.next_batch(of_small=True)
        self._small_may_wait = self._queue.has_small
        return None if batch is None else (self._task_of(batch), batch.adapter)

    def _learn_speed(self, tokens: int, seconds: float) -> None:
        speed = tokens / max(seconds, 1e-6)
        known = self._tokens_per_second or speed
        self._tokens_per_second = known + 0.1 * (speed - known)


@dataclass(frozen=True, slots=True)
class _Task:
    """A batch with the requests that it is for."""

    parts: Sequence[tuple[_Work, Sequence[int]]]

    @property
    def texts(self) -> list[EncoderText]:
        return [work.texts[index] for work, indices in self.parts for index in indices]


def _deliver(task: _Task, vectors: Vectors) -> None:
    """Put the vectors into their places. Nobody may be waiting for them any more."""
    rows = iter(vectors)
    for work, indices in task.parts:
        for index in indices:
            work.rows[index] = next(rows)
        work.missing -= len(indices)
        if not work.missing and not work.done.done():
            work.done.set_result(np.stack([row for row in work.rows if row is not None]))


def _settle(work: _Work, error: EmbeddingError | UnavailableError) -> None:
    if not work.done.done():
        work.done.set_exception(error)


def _closed() -> UnavailableError:
    return UnavailableError("The embedding model is not running; try again later.")
