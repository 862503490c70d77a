import os
import subprocess
import sys

import pytest
from fastapi import FastAPI

from tests.fakes import FakeServices
from tests.live import live_server
from tests.scripts.docker.container import ROOT


def healthcheck(port: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, ROOT / "scripts" / "docker" / "healthcheck.py"],
        env=os.environ | {"PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("is_ready", [True, False])
def test_it_says_whether_the_server_is_ready(
    app: FastAPI, services: FakeServices, is_ready: bool
) -> None:
    services.is_ready = is_ready
    with live_server(app) as url:
        done = healthcheck(int(url.rpartition(":")[2]))
    assert done.returncode == (0 if is_ready else 1)
    assert ("503" in done.stderr) is not is_ready


def test_a_server_that_is_not_there_is_not_ready() -> None:
    done = healthcheck(1)
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert len(done.stderr.splitlines()) == 1
