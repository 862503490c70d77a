"""The whole: the stack is started without containers, checked, and stopped."""

import subprocess
import sys

import pytest

from scripts.deployment.checks import CHECKS
from tests.cli.command import CHECKOUT, environment


@pytest.mark.timeout(300)
def test_a_local_stack_passes_every_check() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.test_docker_deployment", "--local"],
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [line.split("│")[1:3] for line in done.stdout.splitlines() if line.startswith("│")]
    results = {name.strip(): result.strip() for name, result in rows if name.strip()}
    expected = dict.fromkeys([*(check.name for check in CHECKS), "SIGTERM"], "passed")
    assert results == expected, done.stdout + done.stderr
    assert done.returncode == 0
