"""What is counted of guesses, and whether any are made."""

from llm_api.core.llm.engine.draft_counts import DraftCounts
from llm_api.core.llm.observation import DraftStatus


def test_guesses_are_counted_by_who_made_them() -> None:
    counts = DraftCounts(has_lookup=True, has_model=True)
    counts.add(5, 3, by_model=False)
    counts.add(4, 4, by_model=True)
    counts.add(1, 0, by_model=True)
    counts.end_step()
    assert counts.status() == (
        DraftStatus("lookup", 5, 3, is_on=True),
        DraftStatus("model", 5, 4, is_on=True),
    )


def test_what_guesses_seldom_is_off_until_it_guesses_again() -> None:
    counts = DraftCounts(has_lookup=True, has_model=True)
    seen = []
    for step in range(300):
        if step < 100 or step == 200 or step > 250:
            counts.add(2, 1, by_model=True)
        counts.end_step()
        seen.append(counts.status()[1].is_on)
    assert all(seen[:120])
    assert not any(seen[180:250])
    assert all(seen[270:])


def test_what_is_not_there_is_not_told() -> None:
    assert DraftCounts(has_lookup=False, has_model=False).status() == ()
