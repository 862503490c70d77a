"""The queue of jobs, as the processes that run them see it."""

import pytest

from llm_api.core.errors import OverloadedError
from llm_api.core.rag.ingest import each
from llm_api.core.state import job_queue, jobs, liveness
from llm_api.core.state.opened import OwnedState
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import DoneInput, JobInput, NewJob, StoredJob
from llm_api.core.state.state import State
from tests.core.state.test_state import another, sweeper_of

KIND = "copy"


async def submitted(own: OwnedState, *bodies: bytes, id: str = "job_1") -> StoredJob:
    inputs = [JobInput(f"in_{n}", f'{{"n": {n}}}', body) for n, body in enumerate(bodies)]
    return await own.jobs.submit(NewJob(id, KIND, "{}", 0.0), each(inputs), 9)


async def test_large_input_is_stored_in_parts_and_read_whole(
    state: State, own: OwnedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PART_BYTES", 10)
    bodies = b"0123456789" * 3 + b"end", b"", b"short"
    await submitted(own, *bodies)
    queue = await state.queue(KIND)
    job = await queue.claim()
    assert job is not None
    waiting = await queue.waiting_inputs(job.id)
    assert [(one.position, one.id) for one in waiting] == [(0, "in_0"), (1, "in_1"), (2, "in_2")]
    assert [*(await queue.bodies(job.id, [0, 1, 2])).values()] == [*bodies]


async def test_what_is_done_is_freed_and_remarks_are_kept(state: State, own: OwnedState) -> None:
    await submitted(own, b"a", b"b", b"c")
    queue = await state.queue(KIND)
    await queue.claim()
    assert await queue.note("job_1", [DoneInput(0), DoneInput(1, "a remark")])
    assert (await own.jobs.get("job_1")).done == 2
    assert await own.jobs.remarks(["job_1"]) == {"job_1": [("in_1", "a remark")]}
    assert [one.position for one in await queue.waiting_inputs("job_1")] == [2]
    assert await queue.bodies("job_1", [0, 1, 2]) == {0: b"", 1: b"", 2: b"c"}
    await queue.end("job_1", "done")
    assert await queue.waiting_inputs("job_1") == []
    assert await own.jobs.remarks(["job_1"]) == {"job_1": [("in_1", "a remark")]}


async def test_cancel_is_seen_by_the_process_that_runs_it(state: State, own: OwnedState) -> None:
    await submitted(own, b"a")
    queue = await state.queue(KIND)
    await queue.claim()
    assert await queue.note("job_1", [])
    await own.jobs.request_cancel("job_1")
    assert not await queue.note("job_1", [])
    assert not await queue.note("job_1", [DoneInput(0)])
    assert (await own.jobs.get("job_1")).done == 1


async def test_job_of_a_dead_process_is_run_by_another_and_not_for_ever(
    options: StateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "DEAD_AFTER_SECONDS", 0.0)
    async with another(options) as first:
        own = await first.of("alice")
        await submitted(own, b"a")
        queue = await first.queue(KIND)
        for _ in range(job_queue.MAX_ATTEMPTS):
            assert await queue.claim() is not None
            if options.url is None:  # what the kernel does when a process ends
                for file in (options.folder / "workers").iterdir():
                    file.unlink()
            async with another(options) as living:
                await living.of("alice")
                assert not await queue.note("job_1", [DoneInput(0)])
                assert not await queue.end("job_1", "done")
        job = await own.jobs.get("job_1")
        assert (job.state, job.error) == ("failed", "The server ended 3 times while it ran.")


async def test_job_whose_inputs_never_came_makes_place_for_others(
    state: State, own: OwnedState
) -> None:
    never = NewJob("job_0", KIND, "{}", 0.0)
    await own.jobs._shared.write(lambda on: own.jobs._begin(on, never, 1))
    assert await own.jobs.latest(KIND) == []
    with pytest.raises(OverloadedError):
        await own.jobs.submit(NewJob("job_1", KIND, "{}", 0.0), each([]), 1)
    await sweeper_of(state).forget_old()
    assert (await own.jobs.submit(NewJob("job_1", KIND, "{}", 0.0), each([]), 1)).total == 0
