"""Who gives up what when a tier is full."""

from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE, StoredPrefix
from llm_api.core.llm.prefix_cache.tier import Tier
from tests.core.llm.prefix_cache.states import stored_of, tokens_of


def tier_with(room: int, *members: tuple[str, int, float]) -> tuple[Tier, list[StoredPrefix]]:
    """Members as scope, size and when they were used last."""
    tier = Tier(room)
    stored = [
        stored_of(tokens_of(64, seed), size, scope, last_used=used)
        for seed, (scope, size, used) in enumerate(members)
    ]
    for one in stored:
        tier.add(one)
    return tier, stored


def test_nothing_leaves_while_there_is_room() -> None:
    tier, _ = tier_with(100, ("a", 60, 1))
    assert tier.to_give_up(40, "b") == []


def test_what_was_used_longest_ago_leaves_first() -> None:
    tier, (young, old) = tier_with(100, ("a", 50, 2), ("a", 50, 1))
    assert tier.to_give_up(40, "a") == [old]
    assert tier.to_give_up(60, "a") == [old, young]


def test_what_is_larger_than_the_tier_finds_no_room_and_nothing_leaves_for_it() -> None:
    tier, _ = tier_with(100, ("a", 50, 1))
    assert tier.to_give_up(101, "a") is None


def test_the_owner_that_has_most_gives_up() -> None:
    tier, (quiet, loud, loud_again) = tier_with(
        100, ("quiet", 30, 1), ("loud", 35, 2), ("loud", 35, 3)
    )
    assert tier.to_give_up(30, "loud") == [loud]
    assert tier.to_give_up(30, "quiet") == [loud]
    assert quiet not in (tier.to_give_up(70, "loud") or [])
    assert tier.to_give_up(70, "loud") == [loud, loud_again]


def test_nobody_takes_more_of_another_than_makes_them_equal() -> None:
    """However much the loud one stores, the quiet one keeps what it has below a half."""
    tier, [quiet] = tier_with(100, ("quiet", 40, 1))
    for number in range(20):
        for one in tier.to_give_up(20, "loud") or []:
            tier.remove(one)
        tier.add(stored_of(tokens_of(64, 100 + number), 20, "loud", last_used=10 + number))
        assert quiet in tier
        assert tier.used <= 100


def test_asking_for_other_adapters_is_no_second_share() -> None:
    tier, (first, second, _) = tier_with(
        90, ("loud\0one", 30, 1), ("loud\0two", 30, 2), ("quiet", 30, 0)
    )
    assert tier.to_give_up(30, "loud") == [first]
    assert tier.to_give_up(60, "loud") == [first, second]


def test_what_is_to_stay_for_a_day_leaves_last_of_its_owner_s() -> None:
    tier, (kept, other) = tier_with(100, ("a", 25, 1), ("a", 75, 2))
    assert tier.to_give_up(25, "a") == [kept]
    kept.retention = "24h"
    assert tier.to_give_up(25, "a") == [other]
    assert tier.to_give_up(80, "a") == [other, kept]


def test_whoever_has_everything_stay_for_a_day_crowds_out_nobody_but_itself() -> None:
    tier, (quiet, *loud) = tier_with(
        100, ("quiet", 20, 0), ("loud", 20, 1), ("loud", 20, 2), ("loud", 20, 3), ("loud", 20, 4)
    )
    for one in loud:
        one.retention = "24h"
    plain, old, young, last = loud
    plain.retention = None
    plain.last_used = 9
    assert tier.to_give_up(20, "loud") == [old], "a half of a share is one of them: the last used"
    assert tier.to_give_up(60, "loud") == [old, young, plain]
    assert tier.to_give_up(20, "quiet") == [old]
    assert {quiet, last}.isdisjoint(tier.to_give_up(60, "loud") or [quiet])


def test_pinned_prefixes_leave_for_pinned_ones_alone() -> None:
    tier, (pinned, other) = tier_with(100, (PINNED_SCOPE, 50, 0), ("a", 50, 1))
    assert tier.to_give_up(50, "a") == [other]
    assert tier.to_give_up(60, "a") is None
    assert tier.to_give_up(50, PINNED_SCOPE) == [pinned]


def test_pinned_prefixes_take_a_half_at_most() -> None:
    tier, _ = tier_with(100)
    assert tier.to_give_up(51, PINNED_SCOPE) is None


def test_what_is_being_moved_stays() -> None:
    tier, (moving, other) = tier_with(100, ("a", 50, 1), ("a", 50, 2))
    moving.is_moving = True
    assert tier.to_give_up(50, "a") == [other]
    assert tier.to_give_up(60, "a") is None
