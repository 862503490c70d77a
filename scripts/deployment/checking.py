"""Checks that are run one after the other, and the table of what they found. Knows no server."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

import httpx2
from rich.table import Table

Subject = TypeVar("Subject")
Status: TypeAlias = Literal["passed", "failed", "skipped"]
_COLOURS = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


class Failed(Exception):  # noqa: N818 - reads as what it says of the check
    """What is checked is not so."""


class Skipped(Exception):  # noqa: N818 - as above
    """It cannot be checked here. `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """`run` returns what it saw, in a few words. Raises Failed or Skipped."""

    name: str
    run: Callable[[Subject], str]


@dataclass(frozen=True, slots=True)
class Outcome:
    name: str
    status: Status
    detail: str
    seconds: float = 0.0


def run_checks(checks: Sequence[Check[Subject]], subject: Subject) -> Iterator[Outcome]:
    """The outcome of each check, in order. An answer of an unexpected shape is a failure."""
    for check in checks:
        began = time.monotonic()
        status, detail = _run(check, subject)
        yield Outcome(check.name, status, detail, time.monotonic() - began)


def _run(check: Check[Subject], subject: Subject) -> tuple[Status, str]:
    try:
        return "passed", check.run(subject)
    except Skipped as reason:
        return "skipped", str(reason)
    except Failed as reason:
        return "failed", str(reason)
    except httpx2.HTTPError as error:
        return "failed", f"{type(error).__name__}: {error}"
    except (LookupError, TypeError, ValueError) as error:
        return "failed", f"the answer has another shape: {error!r}"


def require(is_so: bool, otherwise: str) -> None:
    """Raises Failed with `otherwise`."""
    if not is_so:
        raise Failed(otherwise)


def table_of(outcomes: Sequence[Outcome], title: str) -> Table:
    """One row for each outcome."""
    table = Table("check", "result", "what was seen", "seconds", title=title)
    table.columns[3].justify = "right"
    for one in outcomes:
        result = f"[{_COLOURS[one.status]}]{one.status}[/]"
        table.add_row(one.name, result, one.detail.replace("[", r"\["), f"{one.seconds:.2f}")
    return table


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 where something passed and nothing failed."""
    statuses = {one.status for one in outcomes}
    return int("failed" in statuses or "passed" not in statuses)
