"""Which weights are run without asking, and what a person is told."""

import pytest

from llm_api.core.llm.tuning.choice import advised, as_good_and_faster, in_a_line
from llm_api.core.llm.tuning.comparison import ComparedFile
from llm_api.core.llm.tuning.measure import Speed


def measured(
    name: str,
    request: float,
    change: float,
    *,
    error: float = 0.001,
    prefill: float = 2.0,
    decode: float = 1.1,
) -> ComparedFile:
    return ComparedFile(name, Speed(1, 1), prefill, decode, request, 9.0, change, error)


ORIGINAL = measured("as it is", 1.0, 0.0, prefill=1.0, decode=1.0)


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([measured("Q8_0", 1.5, 0.002)], "Q8_0"),
        ([measured("Q8_0", 1.5, -0.01)], "Q8_0"),
        ([measured("Q8_0", 1.5, 0.006)], None),  # not as good
        ([measured("Q8_0", 1.5, 0.002, error=0.01)], None),  # nobody knows whether
        ([measured("Q8_0", 1.04, 0.002)], None),  # noise
        ([measured("Q8_0", 1.5, 0.002, decode=0.9)], None),  # writes more slowly
        ([measured("Q8_0", 1.5, 0.002), measured("F16", 1.6, 0.0)], "F16"),
        ([measured("Q8_0", 1.5, 0.002), measured("Q4_0", 3.0, 0.04)], "Q8_0"),
    ],
)
def test_only_what_is_faster_and_as_good_is_taken(
    candidates: list[ComparedFile], chosen: str | None
) -> None:
    found = as_good_and_faster([ORIGINAL, *candidates])
    assert (None if found is None else found.name) == chosen


def test_what_is_taken_is_told_in_one_line() -> None:
    results = [ORIGINAL, measured("Q8_0", 1.5, 0.0021, prefill=2.25, decode=1.13)]
    assert in_a_line(results, "Q4_1") == (
        "Q8_0 reads prompts 2.25 times as fast here and writes 1.13 times as fast as Q4_1,"
        " perplexity +0.2%: kept beside the original; WEIGHTS=original switches back"
    )


def test_what_costs_quality_is_advised_and_not_taken() -> None:
    results = [ORIGINAL, measured("Q4_0", 1.8, 0.04)]
    told = in_a_line(results, "Q4_1")
    assert told.startswith("nothing as good as Q4_1 is faster here: it is run as it is (Q4_0")
    assert "perplexity +4.0%: `llm-api models optimize --keep q4_0`" in told


def test_hardly_faster_is_not_worth_a_word() -> None:
    taken = measured("Q8_0", 1.5, 0.0)
    assert advised([ORIGINAL, taken, measured("Q4_0", 1.6, 0.04)], taken) is None
    assert in_a_line([ORIGINAL, measured("Q4_0", 1.1, 0.04)], "Q4_1").endswith("as it is")
