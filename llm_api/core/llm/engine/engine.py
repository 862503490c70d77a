"""The engine: one thread that owns the scheduler and the runner, and mailboxes on the event loop.

```
loop thread                               engine thread
generate() ── Submit ──► inbox ──► drain, plan, execute, commit
   ▲  │                                          │
   │  └── Abort ───► inbox                       │
   └── mailbox ◄── call_soon_threadsafe ◄────────┘  one call a step
```

Knows tokens, not text.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeAlias, TypeVar, assert_never

from llm_api.core.errors import (
    GenerationError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
)
from llm_api.core.llm.engine.plan import StepPlan
from llm_api.core.llm.engine.runner import DrawingRules, Drawn, NoRoomError, Runner
from llm_api.core.llm.engine.scheduler import Outcome, Scheduler
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.types import FinishReason, Timings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A tokenised prompt. `limit` counts prompt and answer together and fits the KV buffer."""

    prompt: tuple[int, ...]
    limit: int
    rules: DrawingRules
    end_tokens: frozenset[int]
    scope: str


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One engine step of one request. With `finish_reason` set it is the last.

    `drawn` is None where the answer ended without a further token.
    """

    drawn: Drawn | None
    finish_reason: FinishReason | None
    cached_tokens: int
    timings: Timings


@dataclass(slots=True, eq=False)
class _Job:
    """A request under way, and when it reached each stage, in seconds of the engine's clock."""

    sequence: Sequence
    rules: DrawingRules
    submitted: float
    mailbox: asyncio.Queue[TokenEvent | LLMAPIError] = field(default_factory=asyncio.Queue)
    admitted: float = 0.0
    first_token: float = 0.0
    has_ended: bool = False  # the loop's

    def timings(self, now: float) -> Timings:
        return Timings(
            queue_seconds=self.admitted - self.submitted,
            prefill_seconds=self.first_token - self.admitted,
            decode_seconds=now - self.first_token,
        )


@dataclass(frozen=True, slots=True)
class _Submit:
    job: _Job


@dataclass(frozen=True, slots=True)
class _Abort:
    job: _Job


class _Stop:
    pass


IDLE_SECONDS = 1.0

R = TypeVar("R", bound=Runner)

_Command: TypeAlias = _Submit | _Abort | _Stop
_Delivery: TypeAlias = tuple[_Job, TokenEvent | LLMAPIError]


class Engine:
    """Runs many sequences together. Open it on the event loop that its requests come from."""

    # The engine thread makes both, before the first request.
    _scheduler: Scheduler
    _runner: Runner

    def __init__(
        self, *, capacity: int, parallel: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`capacity` bounds the requests under way, running and waiting together."""
        self._capacity = capacity
        self._parallel = parallel
        self._clock = clock
        self._inbox: SimpleQueue[_Command] = SimpleQueue()
        self._jobs: dict[int, _Job] = {}  # the engine thread's
        self._open_requests = 0  # the loop's, as are the three below
        self._next_id = 0
        self._mean_seconds = 1.0
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None

    # The event loop's side

    async def start(self, make: Callable[[], tuple[Scheduler, R]]) -> R:
        """Call `make` on the engine's thread, and begin. Called once. Raises what `make` raises.

        The thread that computes must be the first to compute: OpenMP gives every thread that does
        a team of its own, and two teams on the same cores slow each other down by half.
        """
        made: asyncio.Future[R] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(make, made), name="llm-engine", daemon=True
        )
        self._thread.start()
        try:
            return await made
        except BaseException:
            self._is_closed = True
            self._inbox.put(_Stop())
            raise

    @asynccontextmanager
    async def run(
        self, request: TokenRequest
    ) -> AsyncGenerator[AsyncGenerator[TokenEvent, None], None]:
        """Queue a request on entry, abort it on exit if its answer has not ended.

        Yields the events of the answer; they raise GenerationError where a step fails.
        Raises OverloadedError where `capacity` requests are under way, UnavailableError where
        the engine is closed.
        """
        job = self._submit(request)
        try:
            yield _receive(job)
        finally:
            self._open_requests -= 1
            if job.has_ended:
                seconds = self._clock() - job.submitted
                self._mean_seconds += 0.1 * (seconds - self._mean_seconds)
            else:
                self._inbox.put(_Abort(job))

    def _submit(self, request: TokenRequest) -> _Job:
        if self._is_closed:
            raise UnavailableError("The model is not running; try again later.")
        if self._open_requests >= self._capacity:
            raise OverloadedError(
                f"All {self._capacity} places of the queue are taken; try again later.",
                retry_after_seconds=self._mean_seconds * self._capacity / self._parallel,
            )
        sequence = Sequence(
            id=self._next_id,
            tokens=list(request.prompt),
            prompt_length=len(request.prompt),
            limit=request.limit,
            end_tokens=request.end_tokens,
            scope=request.scope,
        )
        job = _Job(sequence, request.rules, submitted=self._clock())
        self._next_id += 1
        self._open_requests += 1
        self._inbox.put(_Submit(job))
        return job

    def _end_all(self, jobs: list[_Job]) -> None:
        """Answer the requests that the ended engine thread leaves behind."""
        self._is_closed = True
        while not self._inbox.empty():
            if isinstance(command := self._inbox.get(), _Submit):
                jobs.append(command.job)
        _put_all(
            [(job, UnavailableError("The model has been unloaded; try again.")) for job in jobs]
        )

    async def aclose(self) -> None:
        """End every request with UnavailableError and free the runner. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._inbox.put(_Stop())
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # The engine thread's side

    def _run(self, make: Callable[[], tuple[Scheduler, R]], made: "asyncio.Future[R]") -> None:
        try:
            self._scheduler, runner = make()
        except Exception as error:  # noqa: BLE001 - handed on whole: `start` raises it
            self._loop.call_soon_threadsafe(_settle, made, None, error)
            return
        self._runner = runner
        self._loop.call_soon_threadsafe(_settle, made, runner, None)
        try:
            while self._drain():
                self._step()
        except Exception:
            log.exception("the engine stopped")
        finally:
            self._runner.shut_down()
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._end_all, list(self._jobs.values()))

    def _drain(self) -> bool:
        """Take in every command; wait for one while there is no work. False to stop."""
        while True:
            if self._inbox.empty() and self._scheduler.has_work:
                return True
            match self._next_command():
                case _Submit(job):
                    self._open(job)
                case _Abort(job):
                    self._abort(job)
                case _Stop():
                    return False
                case other:
                    assert_never(other)

    def _next_command(self) -> _Command:
        """Wait for a command. The books are checked once nobody has come for a while."""
        try:
            return self._inbox.get(timeout=IDLE_SECONDS)
        except Empty:
            self._scheduler.check_integrity()
            return self._inbox.get()

    def _open(self, job: _Job) -> None:
        sequence = job.sequence
        try:
            self._runner.open(sequence.id, job.rules, tuple(sequence.tokens))
        except Exception:
            log.exception("no sampler for sequence %d", sequence.id)
            self._deliver([(job, GenerationError("The engine could not set up sampling."))])
            return
        self._jobs[sequence.id] = job
        self._scheduler.add(sequence)

    def _abort(self, job: _Job) -> None:
        """The answer may have ended meanwhile: then there is nothing to abort."""
        if self._jobs.pop(job.sequence.id, None) is not None:
            self._scheduler.abort(job.sequence)
            self._runner.close(job.sequence.id)

    def _step(self) -> None:
        plan = self._scheduler.plan()
        began = self._clock()
        self._note_admissions(plan, began)
        try:
            drawn = self._runner.execute(plan)
        except NoRoomError:
            if self._scheduler.retry(plan):
                return
            self._fail(plan)
        except Exception:
            log.exception("a step of %d sequences failed", len(plan.spans))
            self._fail(plan)
        else:
            tokens = {key: [one.token for one in several] for key, several in drawn.items()}
            outcomes = self._scheduler.commit(plan, tokens)
            now = self._clock()
            self._scheduler.learn_speed(plan, now - began)
            self._deliver([self._event(outcome, drawn, now) for outcome in outcomes])

    def _note_admissions(self, plan: StepPlan, now: float) -> None:
        for span in plan.spans:
            job = self._jobs[span.sequence_id]
            job.admitted = job.admitted or now

    def _event(self, outcome: Outcome, drawn: dict[int, list[Drawn]], now: float) -> _Delivery:
        """The event of an outcome, which is about the next token drawn for its sequence."""
        sequence = outcome.sequence
        job = self._jobs[sequence.id]
        job.first_token = job.first_token or now
        if outcome.finish_reason is not None:
            self._forget(sequence)
        one = drawn[sequence.id].pop(0) if outcome.token is not None else None
        return job, TokenEvent(one, outcome.finish_reason, sequence.cached, job.timings(now))

    def _fail(self, plan: StepPlan) -> None:
        error = GenerationError("The engine failed while it computed this answer; try again.")
        failed = self._scheduler.fail(plan)
        self._deliver([(self._forget(sequence), error) for sequence in failed])

    def _forget(self, sequence: Sequence) -> _Job:
        self._runner.close(sequence.id)
        return self._jobs.pop(sequence.id)

    def _deliver(self, deliveries: list[_Delivery]) -> None:
        if deliveries and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_put_all, deliveries)


def _settle(made: "asyncio.Future[R]", runner: R | None, error: Exception | None) -> None:
    """Nobody may be waiting any more."""
    if made.done():
        return
    if error is not None:
        made.set_exception(error)
    elif runner is not None:
        made.set_result(runner)


async def _receive(job: _Job) -> AsyncGenerator[TokenEvent, None]:
    while not job.has_ended:
        delivered = await job.mailbox.get()
        if isinstance(delivered, LLMAPIError):
            job.has_ended = True
            raise delivered
        job.has_ended = delivered.finish_reason is not None
        yield delivered


def _put_all(deliveries: list[_Delivery]) -> None:
    for job, delivered in deliveries:
        job.mailbox.put_nowait(delivered)
