import random
from collections.abc import Mapping

import pytest

from llm_api.core.errors import ModelInUseError, UnavailableError
from llm_api.core.llm.residency.plan import (
    Load,
    Refuse,
    Residency,
    ResidencyLimits,
    Rest,
    Step,
    Ticket,
    Unload,
)


def residency(
    sizes: Mapping[str, int], memory: int | None = None, idle: float | None = None
) -> Residency:
    return Residency(sizes, ResidencyLimits(memory_bytes=memory, idle_seconds=idle))


def carry_out(machine: Residency, now: float) -> list[Step]:
    """Do every step at once until there is nothing more to do; what was done."""
    done: list[Step] = []
    while not isinstance(step := machine.next_step(now), Rest):
        done.append(step)
        tell_the_end(machine, step, now)
        machine.check_integrity()
    return done


def tell_the_end(machine: Residency, step: Step, now: float, *, fails: bool = False) -> None:
    match step:
        case Load(model_id) if fails:
            machine.failed(model_id, "", now)
        case Load(model_id):
            machine.loaded(model_id, now)
        case Unload(model_id):
            machine.unloaded(model_id)
        case Refuse() | Rest():
            pass


def use(machine: Residency, model_id: str, now: float) -> None:
    """One whole request."""
    ticket = machine.ask(model_id, now)
    carry_out(machine, now)
    assert machine.is_granted(model_id, ticket)
    machine.leave(model_id, ticket, now)


def test_nothing_is_loaded_that_nobody_asks_for() -> None:
    machine = residency({"a": 1})
    assert machine.next_step(0) == Rest()
    assert machine.state("a") == "unloaded"


def test_two_requests_for_one_model_cause_one_load() -> None:
    machine = residency({"a": 1})
    tickets = [machine.ask("a", 0), machine.ask("a", 1)]
    assert machine.next_step(1) == Load("a")
    assert machine.next_step(1) == Rest()
    assert machine.state("a") == "loading"
    machine.loaded("a", 2)
    assert all(machine.is_granted("a", ticket) for ticket in tickets)
    assert machine.is_granted("a", machine.ask("a", 3))
    assert machine.next_step(3) == Rest()


def test_models_are_loaded_one_after_the_other_in_the_order_of_asking() -> None:
    machine = residency({"a": 1, "b": 1})
    machine.ask("b", 0)
    machine.ask("a", 1)
    assert machine.next_step(1) == Load("b")
    assert machine.next_step(1) == Rest()
    machine.loaded("b", 2)
    assert machine.next_step(2) == Load("a")


def test_who_leaves_before_the_load_begins_prevents_it() -> None:
    machine = residency({"a": 1})
    machine.leave("a", machine.ask("a", 0), 1)
    assert machine.next_step(1) == Rest()


def test_who_leaves_during_the_load_leaves_an_idle_model() -> None:
    machine = residency({"a": 1}, idle=10)
    ticket = machine.ask("a", 0)
    assert machine.next_step(0) == Load("a")
    machine.leave("a", ticket, 1)
    machine.loaded("a", 2)
    assert machine.next_step(2) == Rest(12)
    assert machine.next_step(12) == Unload("a")


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (2000, 60)]
)
def test_the_pause_after_failed_loads_grows_to_a_limit(failures: int, pause: float) -> None:
    machine = residency({"a": 1})
    now = told = 0.0
    for _ in range(failures):
        now += 100
        machine.ask("a", now)
        assert machine.next_step(now) == Load("a")
        told = machine.failed("a", "no such file", now)
    assert told == pause
    assert machine.state("a") == "failed"
    with pytest.raises(UnavailableError, match="no such file") as caught:
        machine.ask("a", now + pause - 0.25)
    assert caught.value.retry_after_seconds == pytest.approx(0.25)
    assert machine.next_step(now) == Rest()
    machine.ask("a", now + pause)
    assert machine.next_step(now + pause) == Load("a")


def test_a_load_that_succeeds_ends_the_pauses() -> None:
    machine = residency({"a": 1}, idle=1)
    for now in (0, 10):
        machine.ask("a", now)
        machine.next_step(now)
        machine.failed("a", "", now)
    assert not machine.answers("a")
    use(machine, "a", 20)
    assert machine.answers("a")
    assert carry_out(machine, 30) == [Unload("a")]
    machine.ask("a", 31)
    machine.next_step(31)
    assert machine.failed("a", "", 31) == 1
    assert not machine.answers("a")


def test_a_failed_load_voids_the_tickets_that_waited_for_it() -> None:
    machine = residency({"a": 1})
    ticket = machine.ask("a", 0)
    machine.next_step(0)
    machine.failed("a", "", 0)
    assert machine.next_step(100) == Rest()
    machine.leave("a", ticket, 100)
    machine.check_integrity()


def test_only_a_model_without_requests_is_unloaded_for_idleness() -> None:
    machine = residency({"a": 1, "b": 1}, idle=10)
    use(machine, "a", 0)
    busy = machine.ask("b", 0)
    carry_out(machine, 0)
    assert machine.next_step(5) == Rest(10)
    assert carry_out(machine, 1000) == [Unload("a")]
    machine.leave("b", busy, 2000)
    assert machine.next_step(2000) == Rest(2010)
    assert carry_out(machine, 2010) == [Unload("b")]


def test_without_a_limit_idle_models_stay() -> None:
    machine = residency({"a": 1})
    use(machine, "a", 0)
    assert machine.next_step(1e9) == Rest()


def test_the_least_recently_used_models_make_room() -> None:
    machine = residency({"a": 3, "b": 3, "c": 3, "d": 4}, memory=10)
    for now, model_id in enumerate("abca"):
        use(machine, model_id, now)
    machine.ask("d", 9)
    assert carry_out(machine, 9) == [Unload("b"), Load("d")]
    assert [machine.state(model_id) for model_id in "acd"] == ["loaded"] * 3


def test_as_many_models_go_as_it_takes() -> None:
    machine = residency({"a": 3, "b": 3, "c": 10}, memory=10)
    use(machine, "a", 0)
    use(machine, "b", 1)
    machine.ask("c", 2)
    assert carry_out(machine, 2) == [Unload("a"), Unload("b"), Load("c")]


def test_no_model_is_unloaded_in_vain() -> None:
    machine = residency({"a": 3, "b": 5, "c": 10}, memory=10)
    use(machine, "a", 0)
    machine.ask("b", 1)
    carry_out(machine, 1)
    machine.ask("c", 2)
    assert machine.next_step(2) == Rest(32)
    assert machine.state("a") == "loaded"


def test_who_waits_for_room_gets_it_when_the_model_in_use_is_free() -> None:
    machine = residency({"a": 10, "b": 10}, memory=10)
    busy = machine.ask("a", 0)
    carry_out(machine, 0)
    waiting = machine.ask("b", 1)
    assert machine.next_step(1) == Rest(31)
    machine.leave("a", busy, 20)
    assert carry_out(machine, 20) == [Unload("a"), Load("b")]
    assert machine.is_granted("b", waiting)


def test_who_waits_too_long_for_room_is_refused_and_the_next_has_its_own_time() -> None:
    machine = residency({"a": 10, "b": 10, "c": 10}, memory=10)
    machine.ask("a", 0)
    carry_out(machine, 0)
    refused, later = machine.ask("b", 1), machine.ask("c", 2)
    assert machine.next_step(2) == Rest(32)
    assert machine.next_step(32) == Refuse("b")
    machine.leave("b", refused, 32)
    assert machine.next_step(32) == Rest(62)
    machine.leave("c", later, 40)
    assert machine.next_step(40) == Rest()
    assert machine.state("b") == "unloaded"


def test_the_time_to_wait_for_room_begins_anew_when_everybody_has_left() -> None:
    machine = residency({"a": 10, "b": 10}, memory=10)
    machine.ask("a", 0)
    carry_out(machine, 0)
    waiting = machine.ask("b", 1)
    assert machine.next_step(1) == Rest(31)
    machine.leave("b", waiting, 20)
    machine.ask("b", 40)
    assert machine.next_step(40) == Rest(70)


def test_a_model_asked_for_while_it_is_unloaded_is_loaded_again() -> None:
    machine = residency({"a": 1}, idle=10)
    use(machine, "a", 0)
    assert machine.next_step(10) == Unload("a")
    ticket = machine.ask("a", 10)
    assert not machine.is_granted("a", ticket)
    assert machine.state("a") == "unloading"
    machine.unloaded("a")
    assert carry_out(machine, 11) == [Load("a")]
    assert machine.is_granted("a", ticket)


@pytest.mark.parametrize("seed", range(20))
def test_a_random_walk_keeps_the_rules_and_answers_everyone(seed: int) -> None:
    dice = random.Random(seed)
    sizes = {"a": 3, "b": 4, "c": 6, "d": 10}
    machine = residency(sizes, memory=10, idle=5)
    tickets: list[tuple[str, Ticket]] = []
    in_transit: Step = Rest()
    now = 0.0
    for _ in range(1000):
        now += dice.random()
        match dice.randrange(6):
            case 0:
                model_id = dice.choice("abcd")
                try:
                    tickets.append((model_id, machine.ask(model_id, now)))
                except UnavailableError:
                    assert machine.state(model_id) == "failed"
            case 1 if tickets:
                machine.leave(*tickets.pop(dice.randrange(len(tickets))), now)
            case 2 if isinstance(in_transit, Rest | Refuse):
                in_transit = machine.next_step(now)
            case 3:
                machine.let_go(dice.choice("abcd"), is_to_go=dice.random() < 0.5)
            case 4 if dice.random() < 0.1:
                machine.pin(dice.choice("abcd"))
            case _:
                tell_the_end(machine, in_transit, now, fails=dice.random() < 0.2)
                in_transit = Rest()
        machine.check_integrity()
    tell_the_end(machine, in_transit, now)
    for model_id, ticket in tickets:
        machine.leave(model_id, ticket, now)
    for model_id in sizes:
        machine.let_go(model_id)
    carry_out(machine, now + 100)
    assert all(machine.state(model_id) in {"unloaded", "failed"} for model_id in sizes)


def test_pinned_model_stays_until_it_is_asked_to_go() -> None:
    machine = residency({"a": 6, "b": 6}, memory=10, idle=5)
    use(machine, "a", 0)
    machine.pin("a")
    assert carry_out(machine, 100) == []
    machine.ask("b", 100)
    assert carry_out(machine, 101) == []
    machine.let_go("a")
    assert carry_out(machine, 102) == [Unload("a"), Load("b")]
    assert not machine.is_pinned("a")


def test_model_that_is_to_go_answers_until_it_is_idle() -> None:
    machine = residency({"a": 1})
    ticket = machine.ask("a", 0)
    carry_out(machine, 0)
    assert machine.let_go("a")
    assert carry_out(machine, 1) == []
    assert machine.is_granted("a", machine.ask("a", 2))
    assert machine.answering("a") == 2
    assert machine.let_go("a", is_to_go=False)
    machine.leave("a", ticket, 3)
    assert carry_out(machine, 4) == []


def test_model_is_forgotten_only_while_it_is_out_of_memory() -> None:
    machine = residency({"a": 1})
    machine.add("b", 1)
    use(machine, "b", 0)
    with pytest.raises(ModelInUseError, match="unload it first"):
        machine.remove("b")
    machine.let_go("b")
    assert carry_out(machine, 1) == [Unload("b")]
    machine.remove("b")
    machine.check_integrity()
