"""The examples of README.md, docs/ and examples/ are run as they stand, on the default model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, TEXT, fenced

DEFAULT_URL = "http://127.0.0.1:8000"

EXAMPLES = [
    (kind, code)
    for kind, code in fenced(TEXT, "python", "sh")
    if kind == "python" or "curl" in code
]
"""README first, then the pages: one may ask for what an earlier one has stored."""

PROGRAMS = sorted((ROOT / "examples").glob("*.py"))

ANSWERS = {
    "/v1/functions": '"weekday":"Saturday"',
    "/v1/embeddings": '"embedding"',
    "/v1/rag/documents": '"failed":0',
    "/v1/rag/chat": '"citations"',
    "/chat/stream": '{"response":"',
    "/api/chat": '"done":true',
    "/tokenize": '"tokens"',
}
"""What is in the answer to a request of this path; of any other, a finish reason."""


def test_the_documents_have_the_examples() -> None:
    kinds = [kind for kind, _ in EXAMPLES]
    assert kinds.count("python") >= 8
    assert kinds.count("sh") >= 7


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own documents
        command, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(("kind", "code"), EXAMPLES)
def test_example(served_url: str, kind: str, code: str) -> None:
    program = [sys.executable, "-c"] if kind == "python" else ["/bin/sh", "-c"]
    done = run(*program, code.replace(DEFAULT_URL, served_url))
    assert done.returncode == 0, done.stderr
    if kind == "python":
        assert len(done.stdout.split()) > 1
        return
    expected = next((said for path, said in ANSWERS.items() if path in code), '"finish_reason"')
    assert expected in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_program(served_url: str, program: Path) -> None:
    done = run(sys.executable, str(program), served_url)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 1


def test_every_program_is_in_the_table_of_the_examples() -> None:
    listed = re.findall(
        r"^\| `(.+?)`", (ROOT / "examples/README.md").read_text("utf-8"), re.MULTILINE
    )
    files = (ROOT / "examples").rglob("*.py")
    assert sorted(listed) == sorted(str(path.relative_to(ROOT / "examples")) for path in files)
