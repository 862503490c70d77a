"""The engine: takes requests on the event loop, and computes them in steps on the compute thread.

```
event loop                                 compute thread
run() ──── post ───► _open ───► _take_turn: plan, execute, commit ◄─┐
 ▲  │                                   │   └────── post ───────────┘  behind other engines
 │  └───── post ───► _abort             │
 └─ mailbox ◄── call_soon_threadsafe ◄──┘  one call a step
```

Knows tokens, not text.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from llm_api.core.errors import (
    GenerationError,
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
)
from llm_api.core.llm.engine.compute_thread import CLOSING_SECONDS, ComputeThread
from llm_api.core.llm.engine.job import Delivery, TokenEvent, TokenJob, TokenRequest, deliver
from llm_api.core.llm.engine.outlook import Outlook
from llm_api.core.llm.engine.pace import EnginePace
from llm_api.core.llm.engine.plan import StepPlan
from llm_api.core.llm.engine.planner import Planner, StepOutcome
from llm_api.core.llm.engine.runner import Drawn, NoRoomError, RestoreError, Runner
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.observation import EngineDetail, EngineStatus
from llm_api.core.llm.progress import Progress
from llm_api.core.utils.distribution import Distribution

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
"""After so long without a request the books are checked."""

MEMORY_SECONDS = 0.02
"""How often it is asked, at idle, whether there is memory for the next slot."""

STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

R = TypeVar("R", bound=Runner)


class Engine:
    """Runs many sequences together. Open it on the event loop that its requests come from."""

    # Made on the compute thread before the first request, and used there alone.
    _scheduler: Planner
    _runner: Runner

    def __init__(
        self,
        compute: ComputeThread,
        *,
        capacity: int,
        parallel: int,
        clock: Callable[[], float] = time.monotonic,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """`capacity` bounds the requests under way, running and waiting together."""
        self._compute = compute
        self._capacity = capacity
        self._parallel = parallel
        self._clock = clock
        self._idle_seconds = idle_seconds
        # The compute thread's:
        self._jobs: dict[int, TokenJob] = {}
        self._fetching: set[int] = set()  # those whose stored prefix is being read from disk
        self._is_running = False
        self._has_turn = False
        self._step_seconds = Distribution(STEP_SECONDS)
        self._batch_sizes = Distribution(BATCH_SIZES)
        self._pace = EnginePace()
        # The event loop's:
        self._loop = asyncio.get_running_loop()
        self._open_requests = 0
        self._next_id = 0
        self._outlook = Outlook(self._pace, parallel)
        self._is_closed = False
        self._idle_check: asyncio.TimerHandle | None = None

    # The event loop's side

    async def start(self, make: Callable[[], tuple[Planner, R]]) -> R:
        """Call `make` on the compute thread, and begin. Called once. Raises what `make` raises."""
        try:
            return await self._compute.run(partial(self._begin, make))
        except BaseException:
            self._is_closed = True
            self._post(self._stop)
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
        request.journey.follow(partial(self._progress, job))
        try:
            yield job.events()
        finally:
            self._open_requests -= 1
            request.journey.leave()
            if job.has_ended:
                self._pace.served(self._clock() - (job.admitted or job.submitted))
            else:
                self._post(partial(self._abort, job))
            self._expect_idleness()

    def status(self) -> EngineStatus:
        """How it stands. Of a step in progress it may show one half. Call it once it has begun."""
        occupancy = self._scheduler.occupancy()
        return EngineStatus(
            running=occupancy.running,
            waiting=max(0, self._open_requests - occupancy.running),
            step_seconds=self._step_seconds,
            batch_sizes=self._batch_sizes,
            preemptions=occupancy.preemptions,
            kv=occupancy.kv,
            look=self._detail,
            tiers=occupancy.tiers,
            drafts=occupancy.drafts,
        )

    def _detail(self) -> EngineDetail:
        return EngineDetail(
            parallel=self._parallel,
            capacity=self._capacity,
            read_speed=self._pace.read_speed,
            write_speed=self._pace.write_speed,
            slots=tuple(self._scheduler.slots()),
            seconds=self._pace.minute(self._clock()),
        )

    def _progress(self, job: TokenJob) -> Progress:
        """How far a request is. On any thread."""
        planner = self._scheduler
        now = self._clock()
        return self._outlook.progress(job, planner.waiting(), planner.running(), now)

    def _submit(self, request: TokenRequest) -> TokenJob:
        if self._is_closed:
            raise UnavailableError("The model is not running; try again later.")
        if self._open_requests >= self._capacity:
            raise OverloadedError(
                f"All {self._capacity} places of the queue are taken; try again later.",
                retry_after_seconds=self._outlook.wait_seconds(
                    1 + max(0, self._open_requests - self._parallel), self._parallel
                ),
            )
        sequence = Sequence(
            id=self._next_id,
            tokens=list(request.prompt),
            prompt_length=len(request.prompt),
            limit=request.limit,
            end_tokens=request.end_tokens,
            scope=request.scope,
            adapters=request.adapters,
            retention=request.retention,
        )
        job = TokenJob(sequence, request.rules, submitted=self._clock())
        self._next_id += 1
        self._open_requests += 1
        if self._idle_check is not None:
            self._idle_check.cancel()
        self._post(partial(self._open, job, request.prompt))
        return job

    def _expect_idleness(self) -> None:
        """Have the books checked, unless a request comes before."""
        if not self._open_requests and not self._loop.is_closed():
            self._idle_check = self._loop.call_later(self._idle_seconds, self._post, self._check)

    def _post_later(self, call: Callable[[], None]) -> None:
        self._loop.call_later(MEMORY_SECONDS, self._post, call)

    def _end(self, jobs: list[TokenJob]) -> None:
        """Answer the requests that the stopped engine leaves behind, and take no more."""
        self._is_closed = True
        deliver([(job, _unloaded()) for job in jobs])

    async def aclose(self) -> None:
        """End every request with UnavailableError and free the runner. Idempotent.

        Where the compute thread does not come to it, what it holds is left as it is.
        """
        self._is_closed = True
        try:
            await asyncio.wait_for(self._compute.run(self._save_and_stop), CLOSING_SECONDS)
        except TimeoutError:
            log.error("a model is not freed: the compute thread does not come to it")

    def _post(self, call: Callable[[], None]) -> None:
        """Have it done on the compute thread. An engine in which it fails stops; others do not."""
        self._compute.post(partial(self._guard, call))

    # The compute thread's side

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            log.exception("the engine stopped")
            self._stop()

    def _begin(self, make: Callable[[], tuple[Planner, R]]) -> R:
        self._scheduler, runner = make()
        self._runner = runner
        self._is_running = True
        return runner

    def _stop(self) -> None:
        """Free the runner; nothing is computed any more. Idempotent."""
        if not self._is_running:
            return
        self._is_running = False
        jobs = list(self._jobs.values())
        self._jobs.clear()
        try:
            self._runner.shut_down()
        finally:
            self._tell(partial(self._end, jobs))

    def _save_and_stop(self) -> None:
        """Keep what the slots hold, before it is freed. Not where the engine failed."""
        if self._is_running:
            try:
                for sequence in self._scheduler.running():
                    self._scheduler.abort(sequence)
                for plan in self._scheduler.plan_saves():
                    self._runner.execute(plan)
            except Exception:
                log.exception("what the model has computed is not kept")
        self._stop()

    def _check(self) -> None:
        """At idle: look at the books, and keep what the slots hold, one slot at a time."""
        if self._is_running and not self._scheduler.has_work:
            self._scheduler.check_integrity()
            self._save_next(self._scheduler.plan_saves(may_wait=True))

    def _save_next(self, plans: Iterator[StepPlan]) -> None:
        if not self._is_running or self._scheduler.has_work:
            return
        if (plan := next(plans, None)) is not None:
            self._runner.execute(plan)
            go_on = partial(self._save_next, plans)
            if plan.kv_operations:
                self._post(go_on)
            else:
                self._tell(partial(self._post_later, go_on))

    def _open(self, job: TokenJob, prompt: tuple[int, ...]) -> None:
        if not self._is_running:
            self._deliver([(job, _unloaded())])
            return
        sequence = job.sequence
        try:
            self._runner.open(sequence.id, job.rules, prompt)
        except Exception:
            log.exception("no sampler for sequence %d", sequence.id)
            self._deliver([(job, GenerationError("The engine could not set up sampling."))])
            return
        self._jobs[sequence.id] = job
        self._fetching.add(sequence.id)
        queue = partial(self._queue, sequence)
        if not self._scheduler.fetch(sequence, partial(self._guard, queue)):
            queue()

    def _queue(self, sequence: Sequence) -> None:
        """Let it be computed, unless its client has left while a prefix of it was read."""
        if sequence.id in self._fetching and self._is_running:
            self._fetching.discard(sequence.id)
            self._scheduler.add(sequence)
            self._ask_for_turn()

    def _abort(self, job: TokenJob) -> None:
        """The answer may have ended meanwhile: then there is nothing to abort."""
        if self._jobs.pop(job.sequence.id, None) is not None:
            if job.sequence.id in self._fetching:
                self._fetching.discard(job.sequence.id)
            else:
                self._scheduler.abort(job.sequence)
            self._runner.close(job.sequence.id)

    def _ask_for_turn(self) -> None:
        if not self._has_turn:
            self._has_turn = True
            self._compute.post_turn(partial(self._guard, self._take_turn))

    def _take_turn(self) -> None:
        """One step. The next comes behind what was posted meanwhile: aborts, others' turns."""
        self._has_turn = False
        if self._is_running and self._scheduler.has_work:
            self._step()
            self._ask_for_turn()

    def _step(self) -> None:
        plan = self._scheduler.plan(is_awaited=self._compute.is_awaited)
        began = self._clock()
        self._note_admissions(plan, began)
        try:
            drawn = self._runner.execute(plan)
        except RestoreError as error:
            self._scheduler.begin_anew(plan, error.slots)
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
            self._step_seconds.add(now - began)
            self._batch_sizes.add(len(plan.spans))
            self._pace.take(plan, len(outcomes), began, now)
            self._deliver([self._event(outcome, drawn, now) for outcome in outcomes])
            self._fail_constrained([key for key, several in tokens.items() if not several])

    def _note_admissions(self, plan: StepPlan, now: float) -> None:
        for span in plan.spans:
            job = self._jobs[span.sequence_id]
            job.admitted = job.admitted or now

    def _event(self, outcome: StepOutcome, drawn: dict[int, list[Drawn]], now: float) -> Delivery:
        """The event of an outcome, which is about the next token drawn for its sequence."""
        sequence = outcome.sequence
        job = self._jobs[sequence.id]
        job.first_token = job.first_token or now
        if outcome.finish_reason is not None:
            self._forget(sequence)
        one = drawn[sequence.id].pop(0) if outcome.token is not None else None
        return job, TokenEvent(one, outcome.finish_reason, sequence.cached, job.timings(now))

    def _fail_constrained(self, sequence_ids: list[int]) -> None:
        """End those whose constraint failed. A retry would fail as well, so it is the request's."""
        error = InvalidRequestError(
            "What this answer has to conform to is too complex; simplify it."
        )
        jobs = [self._jobs[sequence_id] for sequence_id in sequence_ids]
        for job in jobs:
            self._abort(job)
        self._deliver([(job, error) for job in jobs])

    def _fail(self, plan: StepPlan) -> None:
        error = GenerationError("The engine failed while it computed this answer; try again.")
        failed = self._scheduler.fail(plan)
        self._deliver([(self._forget(sequence), error) for sequence in failed])

    def _forget(self, sequence: Sequence) -> TokenJob:
        self._runner.close(sequence.id)
        return self._jobs.pop(sequence.id)

    def _deliver(self, deliveries: list[Delivery]) -> None:
        if deliveries:
            self._tell(partial(deliver, deliveries))

    def _tell(self, call: Callable[[], None]) -> None:
        """Have it done on the event loop."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(call)


def _unloaded() -> UnavailableError:
    return UnavailableError("The model has been unloaded; try again.")
