"""Rows out of records, and the Markdown table out of rows. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from scripts.bench.contestants import ALL
from scripts.bench.scenarios.scenario import Claim, Scenario
from scripts.bench.statistics import paired_ratio
from scripts.bench.turns import Record

Verdict = Literal["aim reached", "reached", "NOT reached", "not measured"]


@dataclass(frozen=True, slots=True)
class Row:
    """One claim and what became of it. Figures are medians over the rounds."""

    scenario: str
    title: str
    claim: Claim
    figures: Mapping[str, float]
    lost: Mapping[str, int]
    value: float | None
    """What is judged: the median of the ratios of the rounds, or our own figure."""
    verdict: Verdict


def make_rows(scenarios: Sequence[Scenario], records: Sequence[Record]) -> list[Row]:
    """A row for every claim of the scenarios."""
    return [
        _row(scenario, claim, [one for one in records if one.scenario == scenario.key])
        for scenario in scenarios
        for claim in scenario.claims
    ]


def judge(claim: Claim, value: float | None) -> Verdict:
    if value is None:
        return "not measured"
    sign = 1 if claim.direction == "at least" else -1
    if sign * value >= sign * claim.aim:
        return "aim reached"
    return "reached" if sign * value >= sign * claim.must else "NOT reached"


def _row(scenario: Scenario, claim: Claim, records: Sequence[Record]) -> Row:
    by_round: dict[str, dict[int, float]] = defaultdict(dict)
    lost: dict[str, int] = defaultdict(int)
    for record in records:
        lost[record.contestant] += record.sample.lost
        if claim.figure in record.sample.figures:
            figure = record.sample.figures[claim.figure]
            by_round[record.contestant][record.round_number] = figure
    figures = {name: median(rounds.values()) for name, rounds in by_round.items()}
    if claim.against is None:
        value = figures.get(scenario.ours)
    else:
        value = paired_ratio(by_round[scenario.ours], by_round[claim.against])
    if lost[scenario.ours] or (claim.against and lost[claim.against]):
        value = None  # answers cut short are no measure of speed
    return Row(scenario.key, scenario.title, claim, figures, dict(lost), value, judge(claim, value))


def render(rows: Sequence[Row]) -> str:
    """The Markdown table, of who is in it. `(3 lost)` after a figure: answers that ended early."""
    names = [name for name in ALL if any(name in row.lost for row in rows)]
    head = ["", "scenario", "figure", *names, "judged", "must", "aim", "verdict"]
    lines = [head, ["---"] * len(head)]
    lines += [_cells(row, names) for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    claim = row.claim
    unit = f" x {claim.against}" if claim.against else f" {claim.unit}"
    sign = "≥" if claim.direction == "at least" else "≤"
    judged = "-" if row.value is None else f"{row.value:.3g}{unit}"
    bounds = [f"{sign} {claim.must:.3g}", f"{sign} {claim.aim:.3g}"]
    figures = [_figure(row, name) for name in names]
    return [row.scenario, row.title, claim.figure, *figures, judged, *bounds, row.verdict]


def _figure(row: Row, contestant: str) -> str:
    lost = row.lost.get(contestant, 0)
    suffix = f" ({lost} lost)" if lost else ""
    if contestant not in row.figures:
        return f"-{suffix}"
    return f"{row.figures[contestant]:.3g}{suffix}"
