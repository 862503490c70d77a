"""The whole: the stack is started without containers, checked, and stopped."""

import re
import subprocess
import sys

import pytest

from scripts.deployment.checks import DEPLOYMENT_CHECKS
from tests.cli.command import CHECKOUT, environment

pytestmark = pytest.mark.long


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
    rows = re.findall(r"^(\w.*?) +(passed|failed|skipped) ", done.stdout, re.MULTILINE)
    expected = dict.fromkeys([*DEPLOYMENT_CHECKS, "SIGTERM"], "passed")
    assert dict(rows) == expected, done.stdout + done.stderr
    assert done.returncode == 0
