import pytest

from scripts.bench.scenarios.scenario import Claim, Sample, Scenario, Turn
from scripts.bench.table import Verdict, judge, make_rows, render
from scripts.bench.turns import Record

FASTER = Claim("tokens/s", "tokens/s", "at least", 0.95, 1.05, against="llama-server")
SMALLER = Claim("MB", "MB", "at most", 20.0, 0.0)


async def nothing(_: Turn) -> Sample:
    return Sample({})


SCENARIO = Scenario("X", "a title", nothing, [FASTER, SMALLER])


def record(contestant: str, number: int, lost: int = 0, **figures: float) -> Record:
    named = {"tokens/s" if name == "speed" else name: value for name, value in figures.items()}
    return Record(number, "X", contestant, Sample(named, lost), 1.0, 2.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("claim", "value", "verdict"),
    [
        (FASTER, 1.05, "aim reached"),
        (FASTER, 1.0, "reached"),
        (FASTER, 0.95, "reached"),
        (FASTER, 0.94, "NOT reached"),
        (SMALLER, 0.0, "aim reached"),
        (SMALLER, -1.0, "aim reached"),
        (SMALLER, 20.0, "reached"),
        (SMALLER, 20.1, "NOT reached"),
        (SMALLER, None, "not measured"),
    ],
)
def test_value_is_judged_by_its_bounds(claim: Claim, value: float | None, verdict: Verdict) -> None:
    assert judge(claim, value) == verdict


def test_row_has_medians_and_the_median_of_the_ratios() -> None:
    records = [
        record("ours", 0, speed=10.0),
        record("ours", 1, speed=30.0),
        record("ours", 2, speed=20.0),
        record("llama-server", 0, speed=20.0),
        record("llama-server", 1, speed=10.0),
        record("llama-server", 2, speed=20.0),
    ]
    row, _ = make_rows([SCENARIO], records)
    assert row.figures == {"ours": 20.0, "llama-server": 20.0}
    assert (row.value, row.verdict) == (1.0, "reached")


def test_figure_without_a_rival_is_judged_itself() -> None:
    _, row = make_rows([SCENARIO], [record("ours", 0, MB=3.0)])
    assert (row.value, row.verdict) == (3.0, "reached")


def test_rival_that_did_not_play_leaves_the_row_unmeasured() -> None:
    row, _ = make_rows([SCENARIO], [record("ours", 0, speed=3.0)])
    assert (row.value, row.verdict) == (None, "not measured")


@pytest.mark.parametrize("loser", ["ours", "llama-server", "bare"])
def test_lost_answers_void_the_rows_that_they_concern(loser: str) -> None:
    names = ["ours", "llama-server", "bare"]
    records = [record(name, 0, lost=int(name == loser), speed=2.0) for name in names]
    row, _ = make_rows([SCENARIO], records)
    assert row.value == (1.0 if loser == "bare" else None)


def test_lost_answers_are_shown() -> None:
    records = [record("ours", 0, lost=1, speed=9.0), record("llama-server", 0, lost=2, speed=1.0)]
    row, _ = make_rows([SCENARIO], records)
    assert row.lost == {"ours": 1, "llama-server": 2}
    assert "9 (1 lost)" in render([row])
    assert "1 (2 lost)" in render([row])


def test_records_of_other_scenarios_do_not_count() -> None:
    other = Record(0, "Y", "ours", Sample({"MB": 1.0}), 1.0, 2.0, 0.0, 0.0, 0.0, 0.0)
    _, row = make_rows([SCENARIO], [other])
    assert row.figures == {}


def test_table_is_markdown_with_as_many_cells_in_each_line() -> None:
    lines = render(make_rows([SCENARIO], [record("ours", 0, MB=3.0)])).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert "| X | a title | MB | 3 | - | 3 MB | ≤ 20 | ≤ 0 | reached |" in lines
