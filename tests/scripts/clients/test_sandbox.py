"""Where a client runs."""

import json
import sys
from pathlib import Path

import pytest

from scripts.clients.sandbox import Sandbox

SHOW = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"


def test_a_client_sees_nothing_of_the_person_and_no_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    done = Sandbox(tmp_path, door=9).run([sys.executable, "-c", SHOW], 60, BASE_URL="here")
    folder, environment = json.loads(done.output)
    assert (done.status, folder) == (0, str(tmp_path / "work"))
    assert environment["HOME"] == str(tmp_path / "home")
    assert environment["HTTPS_PROXY"] == "http://127.0.0.1:9"
    assert environment["BASE_URL"] == "here"
    assert "secret" not in environment.values()


def test_a_client_whose_time_is_up_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    done = Sandbox(tmp_path, door=9).run(["sh", "-c", "sleep 60 & sleep 60"], 0.1)
    assert (done.status, done.last_words) == (None, "its time was up")


@pytest.mark.parametrize(
    ("errors", "last"),
    [
        ("Traceback:\n  x\npackage.SomeError: no\n", "package.SomeError: no"),
        ("TypeError: no\n  at file.mjs\n\nNode.js v20\n", "TypeError: no"),
        ("ERROR: refused\ntokens used\n7,061\n", "ERROR: refused"),
        ("it is broken\n", "it is broken"),
        ("", "it ended with 3"),
    ],
)
def test_the_last_words_say_why_it_failed(tmp_path: Path, errors: str, last: str) -> None:
    program = f"import sys; sys.stderr.write({errors!r}); sys.exit(3)"
    done = Sandbox(tmp_path, door=9).run([sys.executable, "-c", program], 60)
    assert (done.status, done.last_words) == (3, last)
