"""Events in, plans out; and a random walk that must never lose a cell, a sequence or a token."""

import random
import time
from collections.abc import Callable

import pytest

from llm_api.core.llm.engine.model_guesses import Drafter
from llm_api.core.llm.engine.plan import AdapterScales, CopyPrefix, StepPlan, TrimSlot
from llm_api.core.llm.engine.planner import Occupancy, StepOutcome
from llm_api.core.llm.engine.runner import RestoreError
from llm_api.core.llm.engine.scheduler import TURN_STEPS, Scheduler, SchedulerLimits
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.slots import SlotTable
from llm_api.core.llm.engine.step_costs import StepCosts, linear
from llm_api.core.llm.observation import DraftStatus, KVTokens
from llm_api.core.llm.prefix_cache.buffers import LEAST_PREPARED
from llm_api.core.llm.prefix_cache.model_prefixes import ModelPrefixes
from llm_api.core.llm.prefix_cache.prefix_cache import CacheLimits, PrefixCache
from tests.core.llm.engine.draft_totals import accepted, drafted
from tests.core.llm.engine.fake_runner import (
    FakeRunner,
    expected_answer,
    next_token,
    sometimes_forced,
)
from tests.live import PATIENCE_SECONDS

END = 55


class Bench:
    """A scheduler with a fake runner, stepped by hand."""

    def __init__(
        self,
        *,
        parallel: int = 4,
        slots: int = 6,
        cells: int = 1000,
        step_tokens: int = 64,
        can_trim: bool = True,
        draft: int = 0,
        row_cost: float = 0.0,
        costs: StepCosts | None = None,
        drafter: Drafter | None = None,
        can_cut_restored: bool = True,
        stored: ModelPrefixes | None = None,
    ) -> None:
        costs = costs or linear(row_cost)
        limits = SchedulerLimits(
            parallel,
            step_tokens,
            0.5,
            can_trim,
            draft,
            costs,
            can_cut_restored=can_cut_restored,
        )
        self._slots = slots
        self.table = SlotTable(slots, cells)
        self.scheduler = Scheduler(self.table, limits, drafter, stored)
        self.runner = FakeRunner(slots)
        self.answers: dict[int, list[int]] = {}
        self.reasons: dict[int, str] = {}
        self._next_id = 0

    def add(
        self,
        prompt: list[int],
        length: int = 4,
        scope: str = "",
        adapters: AdapterScales = (),
    ) -> Sequence:
        sequence = Sequence(
            self._next_id,
            list(prompt),
            len(prompt),
            len(prompt) + length,
            frozenset({END}),
            scope,
            adapters,
        )
        self._next_id += 1
        self.answers[sequence.id] = []
        self.scheduler.add(sequence)
        return sequence

    def step(self) -> StepPlan:
        plan = self.scheduler.plan()
        drawn = self.runner.execute(plan)
        tokens = {key: [one.token for one in several] for key, several in drawn.items()}
        outcomes = self.scheduler.commit(plan, tokens)
        self.scheduler.check_integrity()
        for outcome in outcomes:
            self._record(outcome)
        return plan

    def step_or_begin_anew(self, *, refuses: bool) -> None:
        """As the engine does it where a state is refused."""
        self.runner.refuses_states = refuses
        plan = self.scheduler.plan()
        try:
            drawn = self.runner.execute(plan)
        except RestoreError as error:
            self.scheduler.begin_anew(plan, error.slots)
            self.scheduler.check_integrity()
            return
        tokens = {key: [one.token for one in several] for key, several in drawn.items()}
        for outcome in self.scheduler.commit(plan, tokens):
            self._record(outcome)
        self.scheduler.check_integrity()

    def _record(self, outcome: StepOutcome) -> None:
        if outcome.token is not None:
            self.answers[outcome.sequence.id].append(outcome.token)
        if outcome.finish_reason is not None:
            self.reasons[outcome.sequence.id] = outcome.finish_reason

    @property
    def running_count(self) -> int:
        """Sequences that own a slot."""
        return sum(not self.table[index].is_idle for index in range(self._slots))

    def run(self, limit: int = 10_000) -> None:
        for _ in range(limit):
            if not self.scheduler.has_work:
                return
            assert self.step().spans, "work, but nothing to do"
        raise AssertionError("the work does not end")


def spans_of(plan: StepPlan) -> list[tuple[int, int, int, bool]]:
    return [(s.sequence_id, s.start, len(s.tokens), s.samples) for s in plan.spans]


def prompt_of(length: int, seed: int = 0) -> list[int]:
    return [(seed * 7919 + position * 13) % 50 for position in range(length)]


def test_a_prompt_is_computed_then_decoded_token_by_token() -> None:
    bench = Bench()
    bench.add([1, 2, 3], length=3)
    assert spans_of(bench.step()) == [(0, 0, 2, False)]
    assert spans_of(bench.step()) == [(0, 2, 1, True)]
    assert spans_of(bench.step()) == [(0, 3, 1, True)]
    assert spans_of(bench.step()) == [(0, 4, 1, True)]
    assert bench.reasons == {0: "length"}
    assert bench.answers[0] == expected_answer([1, 2, 3], 3)


def test_sequences_join_and_leave_the_batch_at_every_step() -> None:
    bench = Bench()
    bench.add([1, 2, 3], length=4)
    bench.step()
    bench.step()
    bench.add([9, 8], length=1)
    assert spans_of(bench.step()) == [(1, 0, 1, False)]
    assert spans_of(bench.step()) == [(0, 3, 1, True), (1, 1, 1, True)]
    assert spans_of(bench.step()) == [(0, 4, 1, True)]
    bench.run()
    assert bench.reasons == {0: "length", 1: "length"}


def test_a_long_prompt_is_computed_in_chunks_in_turn_with_running_decodes() -> None:
    bench = Bench(step_tokens=64)
    bench.add(prompt_of(4), length=20)
    bench.step()
    bench.add(prompt_of(40, seed=1))
    assert [spans_of(bench.step()) for _ in range(6)] == [
        [(0, 3, 1, True)],
        [(1, 0, 16, False)],
        [(0, 4, 1, True)],
        [(1, 16, 16, False)],
        [(0, 5, 1, True)],
        [(1, 32, 7, False)],
    ]
    assert spans_of(bench.step()) == [(0, 6, 1, True), (1, 39, 1, True)]


@pytest.mark.parametrize(
    ("seconds", "chunk"),
    [(0.1, 40), (10.0, 16), (0.4, 40)],  # towards 320, 3 and 80 rows of the 64, 16 and 64 allowed
)
def test_a_chunk_fits_the_stall_allowed_at_the_speed_that_was_seen(
    seconds: float, chunk: int
) -> None:
    bench = Bench(step_tokens=64)
    bench.add(prompt_of(65), length=20)
    bench.scheduler.learn_speed(bench.step(), seconds)
    bench.step()
    bench.add(prompt_of(200, seed=1))
    assert spans_of(bench.step()) == [(1, 0, chunk, False)]


def test_a_prompt_is_cut_for_others_who_wait_for_the_thread() -> None:
    bench = Bench(step_tokens=64)
    bench.add(prompt_of(100))
    assert spans_of(bench.scheduler.plan(is_awaited=True)) == [(0, 0, 16, False)]


def test_prompts_are_computed_together_where_more_wait_than_stream() -> None:
    bench = Bench(parallel=8, slots=8, step_tokens=64)
    bench.add(prompt_of(4), length=20)
    bench.step()
    bench.step()
    for seed, length in enumerate((16, 16, 40, 14), start=1):
        bench.add(prompt_of(length, seed))
    # One stream stalls for four who wait: four times 16 rows, in prompts that fit whole.
    assert spans_of(bench.step()) == [(1, 0, 15, False), (2, 0, 15, False), (4, 0, 13, False)]
    assert spans_of(bench.step())[0] == (0, 4, 1, True)
    assert spans_of(bench.step()) == [(3, 0, 16, False)], "several stream now, and one waits"


def test_a_step_goes_through_the_slots_in_their_order() -> None:
    bench = Bench(parallel=3, slots=3)
    bench.add(prompt_of(10), length=1)
    bench.run()  # leaves a prefix in the first slot, which is used last
    for seed in (1, 2, 3):
        bench.add(prompt_of(10, seed), length=9)
    bench.step()
    assert [(span.sequence_id, span.slot) for span in bench.step().spans] == [
        (3, 0),
        (1, 1),
        (2, 2),
    ]


def test_only_the_first_prompt_of_a_step_is_cut() -> None:
    bench = Bench(step_tokens=64)
    for seed, length in enumerate((41, 61, 21)):
        bench.add(prompt_of(length, seed))
    assert spans_of(bench.step()) == [(0, 0, 40, False), (2, 0, 20, False)]


def test_without_decodes_a_prompt_takes_the_whole_step() -> None:
    bench = Bench(step_tokens=64)
    bench.add(prompt_of(100))
    assert spans_of(bench.step()) == [(0, 0, 64, False)]


def test_an_end_token_ends_the_answer_and_is_no_part_of_it() -> None:
    bench = Bench()
    draws = iter([70, END])
    bench.runner.draw = lambda resident: next(draws)
    bench.add([1, 2], length=9)
    bench.run()
    assert bench.answers[0] == [70]
    assert bench.reasons == {0: "stop"}


def test_a_finished_conversation_is_continued_in_its_own_slot() -> None:
    bench = Bench()
    bench.add([1, 2, 3], length=3)
    bench.run()
    resident = [1, 2, 3, *bench.answers[0][:2]]
    follow_up = bench.add([*resident, 40, 41])
    plan = bench.step()
    assert plan.kv_operations == ()
    assert spans_of(plan) == [(1, 5, 1, False)]
    assert follow_up.cached == 5


def test_the_last_prompt_token_is_always_computed() -> None:
    bench = Bench()
    bench.add([1, 2, 3], length=1)
    bench.run()
    again = bench.add([1, 2, 3], length=1)
    bench.run()
    assert again.cached == 2
    assert bench.answers[1] == bench.answers[0]


def test_the_same_request_again_takes_the_slot_over_and_drops_the_answer() -> None:
    bench = Bench()
    bench.add([1, 2, 3], length=9)
    bench.run()
    bench.add([1, 2, 3], length=9)
    plan = bench.step()
    assert plan.kv_operations == (TrimSlot(slot=0, length=2),)
    assert spans_of(plan) == [(1, 2, 1, True)]


def test_a_prefix_is_shared_with_a_sequence_still_running() -> None:
    bench = Bench()
    shared = prompt_of(40)
    bench.add([*shared, 1], length=30)
    bench.step()
    bench.add([*shared, 2])
    plan = bench.step()
    assert plan.kv_operations == (CopyPrefix(source=0, target=1, length=40),)
    assert spans_of(plan) == [(0, 40, 1, True), (1, 40, 1, True)]


def test_requests_that_arrive_together_wait_for_one_prefill() -> None:
    bench = Bench(parallel=4, step_tokens=50)
    shared = prompt_of(200)
    for last in range(4):
        bench.add([*shared, 60 + last], length=2)
    bench.run()
    assert bench.runner.computed_tokens == 201 + 3 * 1 + 4 * 1
    for last in range(4):
        assert bench.answers[last] == expected_answer([*shared, 60 + last], 2)


def test_a_short_common_prefix_is_not_waited_for() -> None:
    bench = Bench()
    bench.add([*prompt_of(8), *prompt_of(100, seed=1)])
    bench.add([*prompt_of(8), *prompt_of(30, seed=2)])
    assert [span.sequence_id for span in bench.step().spans] == [0]
    assert bench.running_count == 2


def test_the_waiting_go_on_when_the_one_they_wait_for_is_aborted() -> None:
    bench = Bench(step_tokens=16)
    shared = prompt_of(100)
    first = bench.add([*shared, 1])
    bench.add([*shared, 2])
    bench.step()
    assert bench.running_count == 1
    bench.scheduler.abort(first)
    bench.run()
    assert bench.answers[1] == expected_answer([*shared, 2], 4)


def test_nothing_crosses_from_one_scope_to_another() -> None:
    bench = Bench()
    prompt = prompt_of(60)
    bench.add(prompt, scope="alice")
    bench.run()
    stranger = bench.add(prompt, scope="bob")
    bench.run()
    again = bench.add(prompt, scope="alice")
    bench.run()
    assert (stranger.cached, again.cached) == (0, 59)


def test_the_slot_of_another_scope_is_emptied_before_it_is_used() -> None:
    bench = Bench(parallel=1, slots=1)
    bench.add(prompt_of(30), scope="alice", length=1)
    bench.run()
    bench.add(prompt_of(30), scope="bob", length=1)
    assert bench.step().kv_operations == (TrimSlot(slot=0, length=0),)


def test_an_idle_prefix_longer_than_the_match_is_kept_when_a_slot_is_free() -> None:
    bench = Bench()
    bench.add([*prompt_of(40), 1, 2, 3], length=1)
    bench.run()
    bench.add([*prompt_of(40), 9], length=1)
    assert bench.step().kv_operations == (CopyPrefix(source=0, target=1, length=40),)


def test_without_a_free_slot_the_least_recently_used_one_is_given_up() -> None:
    bench = Bench(parallel=2, slots=2)
    for seed in (1, 2):
        bench.add(prompt_of(20, seed), length=1)
        bench.run()
    bench.add(prompt_of(20, seed=3), length=1)
    assert bench.step().kv_operations == (TrimSlot(slot=0, length=0),)


def test_the_only_slot_left_is_cut_at_the_common_prefix() -> None:
    bench = Bench(parallel=1, slots=1)
    bench.add([*prompt_of(20), 1, 2], length=1)
    bench.run()
    bench.add([*prompt_of(20), 9], length=1)
    plan = bench.step()
    assert plan.kv_operations == (TrimSlot(slot=0, length=20),)
    assert spans_of(plan) == [(1, 20, 1, True)]


def test_a_kv_that_cannot_be_cut_is_reused_whole_or_not_at_all() -> None:
    bench = Bench(can_trim=False)
    bench.add(prompt_of(40), length=2)
    bench.run()
    resident = [*prompt_of(40), bench.answers[0][0]]
    extended = bench.add([*resident, 1, 2], length=1)
    bench.run()
    partial = bench.add([*prompt_of(40), 3], length=1)
    bench.run()
    assert (extended.cached, partial.cached) == (41, 0)
    trims = [
        operation
        for plan in bench.runner.plans
        for operation in plan.kv_operations
        if not (isinstance(operation, TrimSlot) and operation.length == 0)
    ]
    assert trims == []
    assert bench.answers[2] == expected_answer([*prompt_of(40), 3], 1)


def test_a_whole_state_is_found_beside_a_longer_one_that_would_have_to_be_cut() -> None:
    bench = Bench(can_trim=False)
    bench.add(prompt_of(40), length=2)
    bench.add(prompt_of(40), length=9)
    bench.run()
    follow_up = bench.add([*prompt_of(40), *bench.answers[0], 1, 2], length=1)
    bench.run()
    assert follow_up.cached == 41


def test_one_prompt_of_a_kv_that_cannot_be_cut_is_prefilled_once() -> None:
    bench = Bench(can_trim=False)
    sequences = [bench.add(prompt_of(100), length=6) for _ in range(3)]
    longer = bench.add([*prompt_of(99), 1, 2, 3], length=6)
    bench.run()
    assert [sequence.cached for sequence in [*sequences, longer]] == [0, 99, 99, 99]
    assert bench.answers[1] == bench.answers[2] == expected_answer(prompt_of(100), 6)
    assert bench.answers[3] == expected_answer([*prompt_of(99), 1, 2, 3], 6)


def test_a_prefix_that_cannot_be_cut_promises_no_room() -> None:
    """Its second prompt has to wait: the cells it has in common with the first are no help."""
    bench = Bench(can_trim=False, cells=100)
    bench.add(prompt_of(50), length=30)
    bench.step()
    bench.step()
    bench.add([*prompt_of(45), *range(100, 110)], length=30)
    bench.run()
    assert bench.scheduler.preemption_count == 0


def test_idle_prefixes_are_evicted_when_the_room_is_needed() -> None:
    bench = Bench(cells=60)
    bench.add(prompt_of(40), length=1)
    bench.run()
    bench.add(prompt_of(50, seed=1), length=4)
    bench.run()
    assert bench.answers[1] == expected_answer(prompt_of(50, seed=1), 4)
    assert bench.scheduler.preemption_count == 0


def test_the_youngest_is_preempted_and_resumes_with_the_same_text() -> None:
    bench = Bench(cells=64, parallel=3)
    for seed in range(3):
        bench.add(prompt_of(16, seed), length=30)
    bench.run()
    assert bench.scheduler.preemption_count > 0
    assert bench.scheduler.occupancy().preemptions == bench.scheduler.preemption_count
    for seed in range(3):
        assert bench.answers[seed] == expected_answer(prompt_of(16, seed), 30)
    assert set(bench.reasons.values()) == {"length"}


def test_occupancy_says_what_runs_and_what_holds_the_cells() -> None:
    bench = Bench(cells=100)
    bench.add([1, 2, 3], length=1)
    bench.run()
    assert bench.scheduler.occupancy() == Occupancy(0, 0, KVTokens(0, 3, 97))
    bench.add([7, 8], length=4)
    bench.step()
    bench.step()
    assert bench.scheduler.occupancy() == Occupancy(1, 0, KVTokens(2, 3, 95))


def test_a_preempted_sequence_reports_what_it_found_cached_at_first() -> None:
    bench = Bench(cells=64, parallel=2)
    bench.add(prompt_of(20), length=40)
    young = bench.add(prompt_of(20, seed=1), length=30)
    bench.run()
    assert bench.scheduler.preemption_count > 0
    assert young.cached == 0


def test_an_aborted_sequence_frees_its_slot_and_leaves_its_prefix() -> None:
    bench = Bench(parallel=1)
    first = bench.add(prompt_of(30), length=50)
    bench.step()
    bench.scheduler.abort(first)
    assert not bench.scheduler.has_work
    again = bench.add([*prompt_of(30), 1], length=1)
    bench.run()
    assert again.cached == 29, "all that had been computed"


def test_a_waiting_sequence_can_be_aborted() -> None:
    bench = Bench(parallel=1)
    bench.add(prompt_of(10))
    waiting = bench.add(prompt_of(10, seed=1))
    bench.step()
    bench.scheduler.abort(waiting)
    bench.run()
    assert bench.answers[waiting.id] == []


def test_a_failed_step_ends_its_sequences_and_empties_their_slots() -> None:
    bench = Bench(parallel=2)
    doomed = bench.add(prompt_of(10))
    plan = bench.scheduler.plan()
    assert bench.scheduler.fail(plan) == [doomed]
    bench.scheduler.check_integrity()
    assert bench.table.free_cell_count == bench.table.cell_count
    bench.add(prompt_of(10))
    assert TrimSlot(0, 0) in bench.step().kv_operations


def test_no_room_found_by_llama_cpp_evicts_then_preempts_then_gives_up() -> None:
    bench = Bench(parallel=2)
    bench.add(prompt_of(12, seed=5), length=1)
    bench.run()  # leaves an idle prefix
    bench.add(prompt_of(10))
    bench.add(prompt_of(10, seed=1))
    assert bench.scheduler.retry(bench.scheduler.plan())
    assert bench.running_count == 2
    assert bench.scheduler.retry(bench.scheduler.plan())
    plan = bench.scheduler.plan()
    assert [span.sequence_id for span in plan.spans] == [1]
    assert not bench.scheduler.retry(plan)


def test_what_llama_cpp_found_no_room_for_is_computed_in_the_end() -> None:
    bench = Bench(parallel=2)
    bench.add(prompt_of(10), length=5)
    bench.add(prompt_of(10, seed=1), length=5)
    bench.scheduler.retry(bench.scheduler.plan())
    assert len(bench.step().spans) == 1
    bench.run()
    assert [len(answer) for answer in bench.answers.values()] == [5, 5]


def test_admission_is_fair_between_scopes() -> None:
    bench = Bench(parallel=2)
    for seed in range(3):
        bench.add(prompt_of(5, seed), scope="crowd")
    bench.add(prompt_of(5, seed=9), scope="newcomer")
    assert [span.sequence_id for span in bench.step().spans] == [0, 3]


def cyclic(resident: list[int]) -> int:
    """A model that repeats the prompt's first five tokens for ever."""
    return resident[len(resident) % 5]


def test_a_draft_is_verified_in_one_step() -> None:
    bench = Bench(draft=4)
    bench.runner.draw = cyclic
    bench.add([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], length=12)
    bench.run()
    assert bench.answers[0] == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]
    lengths = [span.drafted for plan in bench.runner.plans for span in plan.spans]
    assert lengths == [0, 4, 4, 1], "prefill, then drafts within the limit"
    assert (drafted(bench.scheduler), accepted(bench.scheduler)) == (9, 9)
    assert bench.scheduler.occupancy().drafts == (DraftStatus("lookup", 9, 9, is_on=True),)


def test_where_rows_cost_much_a_guess_must_have_held_before_it_is_drafted() -> None:
    bench = Bench(draft=4, row_cost=0.5)
    bench.runner.draw = cyclic
    bench.add([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], length=20)
    drafted = [bench.step().spans[0].drafted for _ in range(6)]
    assert drafted[:2] == [0, 0], "prefill, and a guess that is only compared with what is drawn"
    assert drafted[2:] == sorted(drafted[2:])
    assert drafted[2] >= 1
    assert drafted[-1] >= 3


def test_where_steps_want_equal_rows_all_streams_have_as_many() -> None:
    bench = Bench(draft=4, costs=StepCosts(((1, 1.0), (32, 1.5))))
    bench.runner.draw = cyclic
    bench.add([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], length=20, scope="a")
    bench.add([6, 7, 8, 9, 10], length=20, scope="b")
    bench.step()
    drafted = [[span.drafted for span in bench.step().spans] for _ in range(3)]
    assert all(one == other and one for one, other in drafted)
    bench.run()
    assert bench.answers == {
        0: [1, 2, 3, 4, 5] * 4,
        1: [6, 7, 8, 9, 10] * 4,
    }


def test_a_wrong_draft_leaves_nothing_behind() -> None:
    bench = Bench(draft=4)
    prompt = [1, 2, 3, 4, 5, 1, 2, 3]
    bench.add(prompt, length=6)
    bench.step()
    assert bench.step().spans[0].drafted == 4
    bench.run()
    assert bench.answers[0] == expected_answer(prompt, 6)
    assert accepted(bench.scheduler) == 0


def test_forced_tokens_are_computed_with_the_one_drawn_before_them() -> None:
    bench = Bench(step_tokens=64)
    bench.runner.force = lambda resident: expected_answer(resident, 2)
    bench.add([1, 2, 3], length=7)
    bench.step()
    assert spans_of(bench.step()) == [(0, 2, 1, True)]
    assert spans_of(bench.step()) == [(0, 3, 3, True)]
    assert spans_of(bench.step()) == [(0, 6, 3, True)]
    assert bench.answers[0] == expected_answer([1, 2, 3], 7)
    assert bench.reasons == {0: "length"}


def test_many_forced_tokens_are_computed_like_a_prompt() -> None:
    bench = Bench(step_tokens=24, parallel=4)
    bench.runner.force = lambda resident: expected_answer(resident, 30)
    bench.add([1, 2, 3], length=40)
    bench.step()
    bench.step()
    assert spans_of(bench.step()) == [(0, 3, 24, False)]
    assert spans_of(bench.step()) == [(0, 27, 6, False)]
    assert spans_of(bench.step()) == [(0, 33, 1, True)]
    assert bench.answers[0] == expected_answer([1, 2, 3], 40)


def test_a_forced_end_token_ends_the_answer() -> None:
    bench = Bench()
    bench.runner.force = lambda resident: [*expected_answer(resident, 1), END]
    bench.add([1, 2, 3], length=30)
    bench.run()
    assert bench.answers[0] == expected_answer([1, 2, 3], 2)
    assert bench.reasons == {0: "stop"}


def test_an_end_token_within_a_draft_ends_the_answer() -> None:
    bench = Bench(draft=4)
    bench.runner.draw = cyclic
    bench.add([1, 2, END, 4, 5, 1, 2, END, 4, 5], length=12)
    bench.run()
    assert (bench.answers[0], bench.reasons[0]) == ([1, 2], "stop")


def test_drafts_are_the_first_to_go_when_room_is_short() -> None:
    bench = Bench(draft=8, cells=28, parallel=2)
    bench.runner.draw = cyclic
    for _ in range(2):
        bench.add([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], length=4, scope=str(_))
    bench.run()
    assert bench.scheduler.preemption_count == 0
    assert bench.answers[0] == bench.answers[1] == [1, 2, 3, 4]


def test_a_kv_that_cannot_be_cut_is_not_drafted_for() -> None:
    bench = Bench(draft=4, can_trim=False)
    bench.runner.draw = cyclic
    bench.add([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], length=6)
    bench.run()
    assert drafted(bench.scheduler) == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_random_walk_keeps_every_invariant_and_every_text(seed: int) -> None:
    rng = random.Random(seed)
    can_trim = seed % 4 != 3
    bench = Bench(
        parallel=4, slots=7, cells=160, step_tokens=24, can_trim=can_trim,
        draft=4 * (seed % 2),
    )  # fmt: skip
    if seed % 3 == 0:
        bench.runner.force = sometimes_forced
    live: list[Sequence] = []
    prompts: dict[int, list[int]] = {}
    aborted: set[int] = set()

    def add() -> None:
        stem = prompt_of(rng.choice([0, 5, 20, 50]), seed=rng.randrange(3))
        prompt = [*stem, *(rng.randrange(50) for _ in range(rng.randrange(1, 30)))]
        sequence = bench.add(prompt, length=rng.randrange(1, 60), scope=rng.choice("ab"))
        prompts[sequence.id] = prompt
        live.append(sequence)

    def abort() -> None:
        candidates = [item for item in live if item.id not in bench.reasons.keys() | aborted]
        if candidates:
            sequence = rng.choice(candidates)
            aborted.add(sequence.id)
            bench.scheduler.abort(sequence)
            bench.scheduler.check_integrity()

    def step() -> None:
        if bench.scheduler.has_work:
            assert bench.step().spans

    actions: list[Callable[[], None]] = [add, abort, step]
    for _ in range(1500):
        rng.choices(actions, weights=[2, 0.5, 10])[0]()
    bench.run()
    for sequence in live:
        answer = bench.answers[sequence.id]
        full = expected_answer(prompts[sequence.id], sequence.limit - sequence.prompt_length)
        if sequence.id in aborted:
            assert answer == full[: len(answer)]
        else:
            assert answer == full
    assert bench.scheduler.preemption_count > 0
    assert len(bench.reasons) + len(aborted) == len(live)


def test_the_fake_runner_notices_a_wrong_prefix() -> None:
    assert next_token([1, 2, 3]) != next_token([1, 9, 3])


POET: AdapterScales = (("poet", 1.0),)
TERSE: AdapterScales = (("terse", 0.5),)


def test_sequences_with_different_adapters_are_never_in_one_step() -> None:
    bench = Bench()
    wanted = {
        bench.add(prompt_of(30, seed), 20, adapters=adapters).id: (prompt_of(30, seed), adapters)
        for seed, adapters in enumerate([(), POET, POET, TERSE])
    }
    while bench.scheduler.has_work:
        plan = bench.step()
        assert {wanted[span.sequence_id][1] for span in plan.spans} == {plan.adapters}
    for key, (prompt, adapters) in wanted.items():
        assert bench.answers[key] == expected_answer(prompt, 20, adapters)


def test_adapters_take_turns_and_none_waits_for_long() -> None:
    bench = Bench()
    for adapters in ((), POET, TERSE):
        bench.add(prompt_of(10), 40, adapters=adapters)
    turns = [bench.step().adapters for _ in range(TURN_STEPS * 9)]
    begun = turns[::TURN_STEPS]
    assert all(set(begun[start : start + 3]) == {(), POET, TERSE} for start in range(7))
    assert all(len(set(turns[i : i + TURN_STEPS])) == 1 for i in range(0, 36, TURN_STEPS))


def test_a_turn_lasts_while_nobody_waits() -> None:
    bench = Bench()
    bench.add(prompt_of(10), 3 * TURN_STEPS, adapters=POET)
    assert {bench.step().adapters for _ in range(2 * TURN_STEPS)} == {POET}


def test_a_prefix_is_shared_only_with_the_same_adapters() -> None:
    bench = Bench()
    prompt = prompt_of(40)
    half = (("poet", 0.5),)
    for adapters in ((), POET, half):
        assert bench.add(prompt, adapters=adapters).cached == 0
        bench.run()
    again = bench.add(prompt, adapters=POET)
    bench.run()
    assert again.cached == len(prompt) - 1
    assert bench.answers[again.id] == expected_answer(prompt, 4, POET)


def test_those_with_adapters_count_for_their_scope() -> None:
    """A client gets no larger share by asking for several adapters."""
    bench = Bench(parallel=2)
    greedy = [bench.add(prompt_of(5, seed), 8, "a", (("x" * seed, 1.0),)) for seed in (1, 2, 3)]
    other = bench.add(prompt_of(5), 8, "b")
    bench.step()
    assert (greedy[0].slot is not None, other.slot is not None) == (True, True)


@pytest.mark.parametrize("seed", range(8))
def test_a_random_walk_with_adapters_gives_each_its_own_answer(seed: int) -> None:
    rng = random.Random(seed)
    bench = Bench(parallel=3, slots=4, cells=160, draft=rng.choice([0, 4]))
    expected: dict[int, list[int]] = {}
    for _ in range(40):
        if rng.random() < 0.5:
            adapters = rng.choice([(), POET, TERSE])
            prompt, length = prompt_of(rng.randint(1, 60), rng.randint(0, 2)), rng.randint(1, 12)
            sequence = bench.add(prompt, length, rng.choice("ab"), adapters)
            expected[sequence.id] = expected_answer(prompt, length, adapters)
        for _ in range(rng.randint(0, 6)):
            if bench.scheduler.has_work:
                bench.step()
    bench.run()
    assert {key: bench.answers[key] for key in expected} == expected


def tiered(ram: int = 10**6) -> ModelPrefixes:
    return ModelPrefixes(PrefixCache(CacheLimits(ram)), "model", 1000)


def kinds(plan: StepPlan) -> list[str]:
    return [type(operation).__name__ for operation in plan.kv_operations]


def test_a_prefix_is_kept_before_it_is_evicted_and_restored_when_it_is_asked_for() -> None:
    bench = Bench(parallel=1, slots=1, stored=tiered())
    first, second = prompt_of(200, 1), prompt_of(200, 2)
    for prompt in (first, second):
        bench.add(prompt)
        bench.run()
    before = bench.runner.computed_tokens
    again = bench.add(first)
    plan = bench.step()
    assert kinds(plan) == ["SaveSlot", "TrimSlot", "RestoreSlot", "TrimSlot"]
    assert spans_of(plan) == [(2, 199, 1, True)]
    bench.run()
    assert again.cached == 199
    assert bench.runner.computed_tokens - before == 4
    assert bench.answers[2] == bench.answers[0] == expected_answer(first, 4)


def test_another_conversation_that_cuts_a_slot_leaves_what_it_held_to_its_own() -> None:
    bench = Bench(parallel=1, slots=1, stored=tiered())
    common = prompt_of(100)
    first, second = [*common, *prompt_of(100, 1)], [*common, *prompt_of(100, 2)]
    for prompt in (first, second):
        bench.add(prompt)
        bench.run()
    again = bench.add(first)
    bench.run()
    assert again.cached == 199
    assert bench.answers[2] == expected_answer(first, 4)


def test_a_slot_is_not_copied_for_the_little_that_no_other_holds() -> None:
    bench = Bench(parallel=3, slots=3, cells=2000, stored=tiered())
    common = prompt_of(800)
    for seed in (1, 2, 3):
        bench.add([*common, *prompt_of(50, seed)])
        bench.run()
    bench.add(prompt_of(200, 4))
    assert kinds(bench.step()) == ["TrimSlot"], "two others hold the 800"
    bench.run()
    saved = 0
    for plan in bench.scheduler.plan_saves():
        bench.runner.execute(plan)
        saved += 1
    assert saved == 2, "the 800 once, and the last prompt"


def test_requests_for_one_stored_prefix_restore_it_once() -> None:
    bench = Bench(parallel=3, slots=3, stored=tiered())
    prompts = [prompt_of(200, seed) for seed in range(4)]
    for prompt in prompts:
        bench.add(prompt)
        bench.run()
    for _ in range(2):
        bench.add(prompts[0])
    plan = bench.step()
    assert kinds(plan).count("RestoreSlot") == 1
    assert kinds(plan)[-1] == "CopyPrefix"
    bench.run()
    assert bench.answers[4] == bench.answers[5] == expected_answer(prompts[0], 4)


def test_a_state_that_is_refused_is_computed_for_all_who_were_to_have_it() -> None:
    stored = tiered()
    bench = Bench(parallel=3, slots=3, stored=stored)
    prompts = [prompt_of(200, seed) for seed in range(4)]
    for prompt in prompts:
        bench.add(prompt)
        bench.run()
    bench.runner.refuses_states = True
    sequences = [bench.add(prompts[0]) for _ in range(2)]
    plan = bench.scheduler.plan()
    with pytest.raises(RestoreError) as caught:
        bench.runner.execute(plan)
    bench.scheduler.begin_anew(plan, caught.value.slots)
    bench.scheduler.check_integrity()
    bench.run()
    assert [one.cached for one in sequences] == [0, 0]
    for sequence in sequences:
        assert bench.answers[sequence.id] == expected_answer(prompts[0], 4)
    assert stored.source(prompts[0], "", 0, 1000) is None, "it is never tried again"


def test_a_failed_decode_keeps_nothing_of_what_it_left() -> None:
    stored = tiered()
    bench = Bench(stored=stored)
    bench.add(prompt_of(200))
    plan = bench.step()
    bench.scheduler.fail(bench.scheduler.plan())
    assert plan.spans
    bench.add(prompt_of(200, 1))
    assert "SaveSlot" not in kinds(bench.step())
    assert list(stored.cache.index) == []


def test_at_idle_every_slot_is_kept_once() -> None:
    stored = tiered()
    bench = Bench(stored=stored)
    for seed in range(3):
        bench.add(prompt_of(200, seed))
        bench.run()
    plans = list(bench.scheduler.plan_saves())
    assert [kinds(plan) for plan in plans] == [["SaveSlot"]] * 3
    for plan in plans:
        assert bench.runner.execute(plan) == {}
    assert list(bench.scheduler.plan_saves()) == []
    assert stored.status()[0].prefixes == 3


def test_what_is_forgotten_leaves_idle_slots_and_is_kept_nowhere() -> None:
    stored = tiered()
    bench = Bench(stored=stored)
    for seed, scope in enumerate(("ruby", "azure")):
        bench.add(prompt_of(200, seed), scope=scope)
        bench.run()
    running = bench.add(prompt_of(200, 7), scope="ruby")
    bench.step()
    stored.cache.forget(lambda owner: owner == "ruby")
    bench.run()
    held = [slot.scope for slot in bench.table if slot.tokens]
    assert sorted(held) == ["azure", "ruby"], "what ran is not touched"
    assert bench.answers[running.id] == expected_answer(prompt_of(200, 7), 4)
    again = bench.add(prompt_of(200), scope="ruby")
    bench.run()
    assert again.cached == 0
    assert bench.answers[again.id] == expected_answer(prompt_of(200), 4)


def test_at_idle_a_slot_waits_until_there_is_memory_for_it() -> None:
    stored = tiered(100_000_000)
    bench = Bench(stored=stored)
    bench.add(prompt_of(200))
    bench.run()
    stored.bytes_per_token = LEAST_PREPARED / 200
    plans = bench.scheduler.plan_saves(may_wait=True)
    assert kinds(next(plans)) == []
    until = time.monotonic() + PATIENCE_SECONDS
    while not kinds(plan := next(plans)):
        assert time.monotonic() < until
        time.sleep(0.001)
    assert kinds(plan) == ["SaveSlot"]


def test_a_preempted_sequence_comes_back_without_computing_again() -> None:
    bench = Bench(parallel=2, slots=2, cells=300, stored=tiered())
    for seed in (1, 2):
        bench.add(prompt_of(130, seed), length=60)
    bench.run()
    assert bench.scheduler.preemption_count > 0
    for key, seed in enumerate((1, 2)):
        assert bench.answers[key] == expected_answer(prompt_of(130, seed), 60)


@pytest.mark.parametrize("can_trim", [True, False])
def test_a_window_that_was_restored_is_not_cut_below_what_it_holds(can_trim: bool) -> None:
    bench = Bench(parallel=1, slots=1, stored=tiered(), can_trim=can_trim, can_cut_restored=False)
    first, second = prompt_of(200, 1), prompt_of(200, 2)
    for prompt in (first, second):
        bench.add(prompt, length=4)
        bench.run()
    answered = [*first, *bench.answers[0][:-1]]
    longer = bench.add([*answered, 1, 2, 3])
    bench.run()
    assert longer.cached == len(answered)
    shorter = bench.add([*first[:150], 4, 5, 6])
    bench.run()
    assert shorter.cached == 0
    assert bench.answers[3] == expected_answer([*first[:150], 4, 5, 6], 4)


@pytest.mark.parametrize("seed", range(6))
def test_a_random_walk_through_the_tiers_gives_everybody_their_own_text(seed: int) -> None:
    """Three scopes, few slots, little room in RAM, states that are refused now and then."""
    rng = random.Random(seed)
    can_cut = rng.random() < 0.7
    bench = Bench(
        parallel=3,
        slots=3 + rng.randrange(3),
        cells=900,
        can_trim=can_cut,
        can_cut_restored=can_cut and rng.random() < 0.7,
        stored=tiered(8 * 1000),
    )
    asked: dict[int, list[int]] = {}
    for _ in range(60):
        prompt = prompt_of(rng.choice((70, 140, 200)), rng.randrange(5))
        prompt = prompt[: rng.randrange(65, len(prompt) + 1)] + prompt_of(rng.randrange(9), 9)
        sequence = bench.add(prompt, rng.randrange(1, 9), scope=rng.choice("abc"))
        asked[sequence.id] = prompt
        for _ in range(rng.randrange(12)):
            if bench.scheduler.has_work:
                bench.step_or_begin_anew(refuses=rng.random() < 0.1)
    while bench.scheduler.has_work:
        bench.step_or_begin_anew(refuses=False)
    for key, prompt in asked.items():
        answer = bench.answers[key]
        assert answer == expected_answer(prompt, len(answer))
