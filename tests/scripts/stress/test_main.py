"""Cases are judged by what happened, and by how the server is afterwards; some are run for real."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from scripts.stress.__main__ import run_cases
from scripts.stress.case import Case, Outcome, SkippedError, Target
from tests.cli.command import CHECKOUT, environment
from tests.fakes import FakeBackend, spoken
from tests.scripts.stress.fake_target import fake_target

pytestmark = pytest.mark.long


@pytest.fixture
def target(base_url: str, tmp_path: Path, backend: FakeBackend) -> Target:
    return fake_target(base_url, tmp_path, backend)[0]


async def as_claimed(_: Target) -> Outcome:
    return Outcome("all well", is_as_claimed=True)


async def otherwise(_: Target) -> Outcome:
    return Outcome("too slow", is_as_claimed=False)


async def skipped(_: Target) -> Outcome:
    raise SkippedError("not here")


async def broken(_: Target) -> Outcome:
    raise ConnectionResetError("gone")


@pytest.mark.parametrize(
    ("run", "ends_well", "row"),
    [
        (as_claimed, True, "| a | b | all well | passed |"),
        (otherwise, False, "| a | b | too slow | FAILED |"),
        (skipped, True, "| a | b | not here | skipped |"),
        (broken, False, "| a | b | ConnectionResetError: gone | FAILED |"),
    ],
)
async def test_a_row_says_what_became_of_the_claim(
    target: Target,
    capsys: pytest.CaptureFixture[str],
    run: Callable[[Target], Awaitable[Outcome]],
    ends_well: bool,
    row: str,
) -> None:
    assert await run_cases(target, [Case("a", "b", run)]) is ends_well
    assert capsys.readouterr().out.splitlines()[-1] == row


async def test_a_server_that_answers_nothing_afterwards_fails_the_case(
    target: Target, backend: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.script = lambda _: spoken()
    assert not await run_cases(target, [Case("a", "b", as_claimed)])
    assert "all well; then a chat gets 200 | FAILED" in capsys.readouterr().out


async def test_a_server_that_failed_a_case_is_replaced_for_the_next(
    base_url: str, tmp_path: Path, backend: FakeBackend
) -> None:
    target, server = fake_target(base_url, tmp_path, backend)
    await run_cases(target, [Case("a", "b", otherwise), Case("c", "d", as_claimed)])
    assert server.told == ["wait", "stop", "start", "wait"]


async def test_a_case_that_takes_too_long_has_failed(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    async def endless(_: Target) -> Outcome:
        await asyncio.sleep(60)
        raise AssertionError

    assert not await run_cases(target, [Case("a", "b", endless, seconds=0.01)])
    assert "| TimeoutError | FAILED |" in capsys.readouterr().out


def test_a_full_queue_and_a_large_body_do_no_harm_to_the_real_server(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "scripts.stress", "queue", "large body"],
        cwd=CHECKOUT,
        env=environment(TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("| passed |") == 2
    assert list(tmp_path.iterdir()) == []
