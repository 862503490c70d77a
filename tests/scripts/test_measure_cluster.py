"""The script that kills a node of a cluster: what it counts, and that a small run of it is good."""

import pytest

from llm_api.core.errors import UnavailableError
from scripts.measure_cluster import Kept, measure
from scripts.qdrant_server import NoQdrantError


def test_what_was_acknowledged_last_has_to_be_there_or_what_came_after_it() -> None:
    kept = Kept()
    kept.refused(1, 4, UnavailableError("away"))
    assert [kept.allows(1, text) for text in (None, "v4", "v3")] == [True, True, False]
    kept.took(1, 5)
    assert [kept.allows(1, text) for text in (None, "v4", "v5")] == [False, False, True]
    kept.refused(1, 6, UnavailableError("away"))
    assert [kept.allows(1, text) for text in (None, "v5", "v6")] == [False, True, True]
    assert kept.allows(2, None)
    assert not kept.allows(2, "v5")


@pytest.mark.timeout(180)
async def test_a_node_that_dies_loses_nothing_and_searches_are_answered() -> None:
    try:
        result = await measure(30, 30, lambda _: None)
    except NoQdrantError as error:
        pytest.skip(f"no Qdrant server: {error}")
    assert result.is_good, str(result)
    assert result.kept.answers == 30
    assert result.searches.asked >= 30
