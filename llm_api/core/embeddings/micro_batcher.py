"""Requests that wait at the same moment share batches: one task forms them, one thread computes.

Everything here runs on one event loop, which owns the queue; `compute` runs a batch elsewhere.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np

from llm_api.core.embeddings.batch_queue import Batch, BatchQueue, Job
from llm_api.core.embeddings.embedder import Vectors
from llm_api.core.embeddings.encoder import EncoderText
from llm_api.core.errors import EmbeddingError, OverloadedError, UnavailableError

log = logging.getLogger(__name__)

Compute: TypeAlias = Callable[[Callable[[], Vectors]], Awaitable[Vectors]]
"""Runs a function on the thread that owns the model, one at a time."""

Encode: TypeAlias = Callable[[Sequence[EncoderText], str | None], Vectors]

MAX_WAITING_TOKENS = 1_000_000
"""While more wait, nobody else is let in: at 20,000 tokens a second they take 50 seconds."""


@dataclass(slots=True, eq=False)
class _Work:
    """A request under way: its texts, and the vectors that are there."""

    texts: Sequence[EncoderText]
    job: Job
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
        self._works: dict[Job, _Work] = {}
        self._tokens_per_second = 0.0
        self._has_work = asyncio.Event()
        self._is_closed = False
        self._task = asyncio.create_task(self._run(), name="embeddings")

    async def encode(self, texts: Sequence[EncoderText], adapter: str | None) -> Vectors:
        """The vectors of `texts`, at least one, in their order.

        Raises OverloadedError, UnavailableError or EmbeddingError. Cancelling drops the texts
        that are not computed yet.
        """
        if self._is_closed:
            raise _closed()
        self._check_room()
        job = Job([len(text.ids) for text in texts], adapter)
        work = _Work(texts, job, asyncio.get_running_loop().create_future())
        self._works[job] = work
        self._queue.add(job)
        self._has_work.set()
        try:
            return await work.done
        finally:
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

    async def _serve(self, batch: Batch) -> None:
        works = [(self._works[job], indices) for job, indices in batch.parts]
        texts = [work.texts[index] for work, indices in works for index in indices]
        began = self._clock()
        try:
            vectors = await self._compute(partial(self._encode, texts, batch.adapter))
        except Exception:
            log.exception("a batch of %d texts failed", len(texts))
            for work, _ in works:
                self._queue.remove(work.job)
                _settle(work, EmbeddingError("The model failed on these texts; try again."))
            return
        self._learn_speed(sum(len(text.ids) for text in texts), self._clock() - began)
        row = 0
        for work, indices in works:
            _deliver(work, indices, vectors[row : row + len(indices)])
            row += len(indices)

    def _learn_speed(self, tokens: int, seconds: float) -> None:
        speed = tokens / max(seconds, 1e-6)
        known = self._tokens_per_second or speed
        self._tokens_per_second = known + 0.1 * (speed - known)


def _deliver(work: _Work, indices: Sequence[int], vectors: Vectors) -> None:
    """Put the vectors into their places. Nobody may be waiting for them any more."""
    for index, vector in zip(indices, vectors, strict=True):
        work.rows[index] = vector
    work.missing -= len(indices)
    if not work.missing and not work.done.done():
        work.done.set_result(np.stack([row for row in work.rows if row is not None]))


def _settle(work: _Work, error: EmbeddingError | UnavailableError) -> None:
    if not work.done.done():
        work.done.set_exception(error)


def _closed() -> UnavailableError:
    return UnavailableError("The embedding model is not running; try again later.")
