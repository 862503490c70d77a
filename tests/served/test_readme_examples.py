"""The README's examples are run as they stand, against the default address and model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
DEFAULT_URL = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_readme_has_the_examples() -> None:
    assert len(blocks("python")) >= 4
    assert sum("curl" in block for block in blocks("sh")) >= 2


@pytest.mark.parametrize("code", blocks("python"))
def test_python_example(served_url: str, code: str) -> None:
    run = subprocess.run(  # noqa: S603 - our own README
        [sys.executable, "-c", code.replace(DEFAULT_URL, served_url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.split()) > 1


@pytest.mark.parametrize("command", [block for block in blocks("sh") if "curl" in block])
def test_curl_example(served_url: str, command: str) -> None:
    run = subprocess.run(  # noqa: S603 - our own README
        ["/bin/sh", "-c", command.replace(DEFAULT_URL, served_url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = '"finish_reason"'
    if "/v1/functions" in command:
        expected = '"weekday":"Saturday"'
    elif "/v1/embeddings" in command:
        expected = '"embedding"'
    elif "/v1/rag/documents" in command:
        expected = '"failed":0'
    elif "/v1/rag/chat" in command:
        expected = '"citations"'
    elif "/chat/stream" in command:
        expected = '{"response":"'
    assert expected in run.stdout, run.stdout + run.stderr
