"""Residency and cell counting."""

import pytest

from llm_api.core.llm.engine.slots import SlotTable, common_prefix_length


def table_with(*resident: list[int], cells: int = 64) -> SlotTable:
    table = SlotTable(len(resident) + 2, cells)
    for index, tokens in enumerate(resident):
        table.append(table[index], tokens)
    return table


@pytest.mark.parametrize(
    ("left", "right", "length"),
    [([], [1], 0), ([1, 2], [1, 2], 2), ([1, 2, 3], [1, 2], 2), ([1, 9], [1, 2], 1)],
)
def test_common_prefix_length(left: list[int], right: list[int], length: int) -> None:
    assert common_prefix_length(left, right) == length


def test_shared_cells_are_counted_once() -> None:
    table = table_with([1, 2, 3, 4])
    table.share(table[0], table[1], 3)
    assert table.free_cell_count == 60
    table.check_integrity()


def test_shared_cells_become_free_with_their_last_holder() -> None:
    table = table_with([1, 2, 3, 4])
    table.share(table[0], table[1], 3)
    table.trim(table[0], 0)
    assert table.free_cell_count == 61
    table.trim(table[1], 0)
    assert table.free_cell_count == 64
    table.check_integrity()


def test_longest_prefix_prefers_length_then_the_slot_without_a_rest() -> None:
    table = table_with([1, 2, 9], [1, 2, 3, 4, 5], [1, 2, 3])
    match = table.longest_prefix([1, 2, 3, 7], "")
    assert match is not None
    assert (match.slot.index, match.length) == (2, 3)


def test_prefixes_of_another_scope_are_not_found() -> None:
    table = table_with([1, 2, 3])
    table.claim(table[0], owner=1, scope="alice", prompt_length=3)
    assert table.longest_prefix([1, 2, 3], "bob") is None
    assert table.longest_prefix([1, 2, 3], "alice") is not None


def test_idle_slots_come_empty_first_then_least_recently_used() -> None:
    table = table_with([1], [2])
    for index in (1, 0):
        table.claim(table[index], owner=index, scope="", prompt_length=1)
        table.release(table[index])
    assert [slot.index for slot in table.idle()] == [2, 3, 1, 0]


def test_pinned_cells_are_those_of_owned_slots() -> None:
    table = table_with([1, 2, 3, 4])
    table.share(table[0], table[1], 3)
    table.claim(table[1], owner=1, scope="", prompt_length=3)
    assert table.pinned_cell_count() == 3


def test_a_lost_cell_is_noticed() -> None:
    table = table_with([1, 2])
    table[0].cells.pop()
    with pytest.raises(AssertionError, match="disagree"):
        table.check_integrity()


def test_appending_beyond_the_room_is_refused() -> None:
    table = table_with([1], cells=2)
    with pytest.raises(AssertionError, match="room"):
        table.append(table[1], [5, 6])
