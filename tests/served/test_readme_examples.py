"""The README's examples are run as they stand, against the default address and model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
DEFAULT_URL = "http://127.0.0.1:8000"


BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
EXAMPLES = [(kind, code) for kind, code in BLOCKS if kind == "python" or "curl" in code]
"""In the order of the README: one may ask for what an earlier one has stored."""

ANSWERS = {
    "/v1/functions": '"weekday":"Saturday"',
    "/v1/embeddings": '"embedding"',
    "/v1/rag/documents": '"failed":0',
    "/v1/rag/chat": '"citations"',
    "/chat/stream": '{"response":"',
}
"""What is in the answer to a request of this path; of any other, a finish reason."""


def test_the_readme_has_the_examples() -> None:
    kinds = [kind for kind, _ in EXAMPLES]
    assert kinds.count("python") >= 5
    assert kinds.count("sh") >= 5


@pytest.mark.parametrize(("kind", "code"), EXAMPLES)
def test_example(served_url: str, kind: str, code: str) -> None:
    program = [sys.executable, "-c"] if kind == "python" else ["/bin/sh", "-c"]
    run = subprocess.run(  # noqa: S603 - our own README
        [*program, code.replace(DEFAULT_URL, served_url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    if kind == "python":
        assert len(run.stdout.split()) > 1
        return
    expected = next((said for path, said in ANSWERS.items() if path in code), '"finish_reason"')
    assert expected in run.stdout, run.stdout + run.stderr
