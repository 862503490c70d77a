"""States in both databases."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import pytest

from llm_api.core.state.opened import OwnedState
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from scripts.postgresql import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateOptions]:
    """Where the state of this test is kept, and of none other."""
    if request.param == "sqlite":
        yield StateOptions(tmp_path / "state")
        return
    server = request.getfixturevalue("postgresql_url")
    with new_database(server, f"test_{uuid4().hex}") as url:
        yield StateOptions(tmp_path / "state", url)


@pytest.fixture
async def state(options: StateOptions) -> AsyncGenerator[State, None]:
    async with aclosing(State(options)) as state:
        yield state


@pytest.fixture
async def own(state: State) -> OwnedState:
    """What the owner `alice` has stored."""
    return await state.of("alice")
