import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import environment, llm_api

QUICK = ["models", "optimize", "--types", "q4_0", "--rounds", "1", "--threads", "1"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("The capital of France is Paris, and the capital of Italy is Rome.")
    return path


def test_the_kept_file_is_written_and_the_command_to_serve_it_said(
    tmp_path: Path, text: Path
) -> None:
    done = llm_api(tmp_path, *QUICK, "--text", str(text), "--keep", "Q4_0")
    assert done.returncode == 0, done.stderr
    assert "Q4_1, as it is" in done.stdout
    kept = "models/optimized/SmolLM2-135M-Instruct.Q4_0.gguf"
    assert done.stdout.splitlines()[-1] == kept
    assert f"MODEL_PATH={kept}" in done.stderr
    assert "never better" in done.stderr
    assert [path.name for path in (tmp_path / kept).parent.iterdir()] == [Path(kept).name]

    again = llm_api(tmp_path, *QUICK, "--keep", "q4_0", "--json")
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_in_a_pipe_nothing_is_kept_unasked_and_programs_get_the_figures(
    tmp_path: Path, text: Path
) -> None:
    done = llm_api(tmp_path, *QUICK, "--text", str(text), "--json", stdin="q4_0\n")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["kept"], said["fastest"] in {"Q4_1", "Q4_0"}) == (None, True)
    current, other = said["measured"]
    assert (current["name"], current["is_current"], current["decode_ratio"]) == ("Q4_1", True, 1)
    assert (other["name"], other["is_current"]) == ("Q4_0", False)
    assert other["size_bytes"] < current["size_bytes"]
    assert other["speed"]["prefill"] > 0
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--types", "q9_9"], "no quantisation q9_9"),
        (["--types", "q4_1"], "already Q4_1"),
        (["--keep", "q4_1"], "already Q4_1"),
        (["absent.gguf"], "no model file at absent.gguf"),
        (["--text", "absent.txt"], "absent.txt cannot be read"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = llm_api(tmp_path, "models", "optimize", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "llm_api", *QUICK],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("models/optimized/.*.part")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []
