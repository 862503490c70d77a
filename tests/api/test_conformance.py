"""What `/openapi.json` says of the answers is true of them: schemathesis asks and compares."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.fuzz.bodies import make_app
from tests.live import live_server

pytestmark = pytest.mark.long

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
)


ENDLESS = "/v1/engine/stream"


@pytest.mark.timeout(600)
def test_answers_are_what_the_documentation_says(tmp_path: Path, openapi: dict[str, Any]) -> None:
    """Values at the edges of every parameter; by hand with `fuzzing` among the phases."""
    asked = [
        one
        for path, operations in openapi["paths"].items()
        if path != ENDLESS
        for one in operations
    ]
    with live_server(make_app()) as url:
        finished = subprocess.run(  # noqa: S603 - our own server, on this machine
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run"),
                *(f"{url}/openapi.json", "--checks", ",".join(CHECKS), "--warnings", "off"),
                *("--phases", "coverage", "--seed", "1"),
                *("--continue-on-failure", "--max-response-time", "10"),
                *("--exclude-path", ENDLESS),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert finished.returncode == 0, finished.stdout[-8000:] + finished.stderr
    assert f"{len(asked)} passed" in finished.stdout
