"""Notes on where documents come from."""

from dataclasses import replace

import pytest

from llm_api.core.state import sources, sweep
from llm_api.core.state.opened import OwnedState
from llm_api.core.state.options import StateOptions
from llm_api.core.state.records import SourceFailure, StoredSync
from tests.core.state.test_state import another, sweeper_of


def failure(id: str, digest: str = "d", at: float = 1.0) -> SourceFailure:
    return SourceFailure(id, digest, "It is broken.", at)


async def test_last_failure_of_a_file_is_known_until_it_is_forgotten(own: OwnedState) -> None:
    await own.sources.remember_failures("c", [failure("a"), failure("b")])
    await own.sources.remember_failures("c", [failure("a", "e", 2.0)])
    await own.sources.remember_failures("other", [failure("a", "f")])
    assert await own.sources.failures("c") == [failure("b"), failure("a", "e", 2.0)]
    assert await own.sources.failures("c", ["a"]) == [failure("a", "e", 2.0)]
    await own.sources.forget_failures("c", ["a", "nothing"])
    assert await own.sources.failures("c") == [failure("b")]


async def test_failures_beyond_the_bound_are_not_kept(
    own: OwnedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_FAILURES", 3)
    await own.sources.remember_failures("c", [failure(f"{n}") for n in range(5)])
    assert len(await own.sources.failures("c")) == 3
    await own.sources.remember_failures("c", [failure("9")])
    assert len(await own.sources.failures("c")) == 3


async def test_last_sync_of_a_source_is_kept(own: OwnedState) -> None:
    assert await own.sources.get_sync("c", "docs") is None
    first, second = StoredSync("docs", 1.0, "{}"), StoredSync("docs", 2.0, '{"x": 1}')
    other = StoredSync("manuals", 1.5, "{}")
    for one in (first, other, second):
        await own.sources.save_sync("c", one)
    assert await own.sources.get_sync("c", "docs") == second
    assert await own.sources.syncs("c") == [second, other]


async def test_old_notes_are_forgotten(options: StateOptions) -> None:
    now = sweep.NOTES_KEPT_SECONDS + 10
    async with another(replace(options, now=lambda: now)) as state:
        own = await state.of("alice")
        await own.sources.remember_failures("c", [failure("a", at=1.0), failure("b", at=100.0)])
        await own.sources.save_sync("c", StoredSync("docs", 1.0, "{}"))
        await own.sources.save_sync("c", StoredSync("manuals", 100.0, "{}"))
        await sweeper_of(state).forget_old()
        assert [one.document_id for one in await own.sources.failures("c")] == ["b"]
        assert [one.source for one in await own.sources.syncs("c")] == ["manuals"]
