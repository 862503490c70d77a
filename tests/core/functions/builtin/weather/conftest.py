from collections.abc import Iterator

import pytest

from tests.core.functions.builtin.weather.stand_in import StandIn, running_stand_in


@pytest.fixture(scope="session")
def _running() -> Iterator[StandIn]:
    with running_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def services(_running: StandIn) -> StandIn:
    """The two services, without faults, and having seen nothing."""
    for seen in (_running.faults, _running.paths, _running.queries):
        seen.clear()
    return _running
