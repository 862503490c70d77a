import httpx2
import pytest
from rich.console import Console

from scripts.deployment.checking import (
    Check,
    Failed,
    Outcome,
    Skipped,
    Status,
    exit_code,
    run_checks,
    table_of,
)


def raising(error: Exception) -> str:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (Failed("the answer is empty"), "failed", "the answer is empty"),
        (Skipped("no key"), "skipped", "no key"),
        (httpx2.ConnectError("refused"), "failed", "ConnectError: refused"),
        (KeyError("usage"), "failed", "the answer has another shape: KeyError('usage')"),
    ],
)
def test_what_a_check_raises_is_its_outcome(error: Exception, status: Status, detail: str) -> None:
    [outcome] = run_checks([Check("one", raising)], error)
    assert (outcome.status, outcome.detail) == (status, detail)


def test_a_failed_check_does_not_end_the_others() -> None:
    checks: list[Check[Exception]] = [Check("bad", raising), Check("good", repr)]
    assert [one.status for one in run_checks(checks, Failed("no"))] == ["failed", "passed"]


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["passed"], 0),
        (["passed", "skipped"], 0),
        (["passed", "failed"], 1),
        (["skipped"], 1),
        ([], 1),
    ],
)
def test_only_a_deployment_that_was_seen_to_work_exits_0(statuses: list[Status], code: int) -> None:
    assert exit_code([Outcome("one", status, "") for status in statuses]) == code


def test_the_table_shows_what_was_seen_as_it_is() -> None:
    console = Console(width=120)
    with console.capture() as shown:
        console.print(table_of([Outcome("chat", "failed", "[bold]x[/bold]", 0.5)], "here"))
    assert all(text in shown.get() for text in ("chat", "failed", "[bold]x[/bold]", "0.50"))
