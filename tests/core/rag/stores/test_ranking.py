import pytest

from llm_api.core.rag.stores.ranking import normalised_sum


@pytest.mark.parametrize(
    ("rankings", "fused"),
    [
        ([{"a": 4.0, "b": 2.0, "c": 3.0}], {"a": 1.0, "b": 0.0, "c": 0.5}),
        ([{"a": 2.0, "b": 1.0}, {"b": 30.0, "c": 10.0}], {"a": 0.5, "b": 0.5, "c": 0.0}),
        ([{"a": 0.2, "b": -0.8}, {}], {"a": 0.5, "b": 0.0}),
        ([{"a": 7.0}], {"a": 1.0}),
        ([{}, {}], {}),
    ],
)
def test_scores_are_scaled_and_averaged(
    rankings: list[dict[str, float]], fused: dict[str, float]
) -> None:
    assert normalised_sum(rankings) == pytest.approx(fused)
