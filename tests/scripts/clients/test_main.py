"""The table of clients."""

import json
from pathlib import Path

import pytest

from scripts.clients.__main__ import Options, read_options, try_client
from scripts.clients.case import Client, FailedError, NotDoneError, Visit
from scripts.clients.catalogue import CLIENTS
from scripts.clients.kits import NodeKit, PythonKit
from scripts.clients.server import Served

SERVER = Served(port=9, model="scripted")


class ReadyKit(PythonKit):
    """One that needs no installation."""

    version = "1.0.0"

    def install(self, home: Path) -> None:
        """Nothing to do."""


def client(folder: Path, failure: Exception | None = None, **fields: object) -> Client:
    def run(visit: Visit) -> str:
        if failure is not None:
            raise failure
        return f"asked {visit.model}"

    (folder / "requirements.txt").write_text("own==1.0.0\n")
    return Client("own", ReadyKit(folder, "own", "program.py"), run, **fields)  # type: ignore[arg-type]


def options(folder: Path, model: Path | None = None, record: Path | None = None) -> Options:
    return Options((), model, folder / "cache", record)


def test_a_client_that_does_its_part_has_passed(tmp_path: Path) -> None:
    row = try_client(client(tmp_path), SERVER, options(tmp_path), tmp_path)
    assert str(row).startswith("| own | own 1.0.0 | asked scripted |  | passed |")


def test_a_client_that_fails_is_one_row(tmp_path: Path) -> None:
    failing = client(tmp_path, FailedError("it said | nothing\nat all"))
    row = try_client(failing, SERVER, options(tmp_path), tmp_path)
    assert "| it said / nothing at all |  | FAILED |" in str(row)


def test_a_client_that_never_sent_what_it_is_here_for_has_failed(tmp_path: Path) -> None:
    asked = client(tmp_path, sends=('"item_reference"',))
    row = try_client(asked, SERVER, options(tmp_path), tmp_path)
    assert (row.result, row.did) == ("FAILED", 'it never sent "item_reference"')


def test_a_client_that_was_never_told_what_it_is_to_bear_has_failed(tmp_path: Path) -> None:
    asked = client(tmp_path, hears=('"prompt_progress"',))
    row = try_client(asked, SERVER, options(tmp_path), tmp_path)
    assert (row.result, row.did) == ("FAILED", 'it was never told "prompt_progress"')


def test_what_a_client_sent_is_recorded_whatever_became_of_it(tmp_path: Path) -> None:
    failing = client(tmp_path, FailedError("no"))
    assert try_client(failing, SERVER, options(tmp_path, record=tmp_path), tmp_path).result == (
        "FAILED"
    )
    assert json.loads((tmp_path / "own.json").read_text()) == {
        "client": "own 1.0.0",
        "shared": [],
        "requests": [],
    }


def test_what_cannot_be_installed_is_skipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    node = next(one for one in CLIENTS if isinstance(one.kit, NodeKit))
    row = try_client(node, SERVER, options(tmp_path), tmp_path)
    assert (row.result, row.did) == ("skipped", "there is no npm on the PATH")


def test_a_real_model_is_only_asked_by_clients_that_bear_it(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    assert try_client(client(tmp_path), SERVER, options(tmp_path, model), tmp_path).result == (
        "skipped"
    )
    bearing = client(tmp_path, runs_on_any_model=True, sends=("never",))
    assert try_client(bearing, SERVER, options(tmp_path, model), tmp_path).result == "passed"


@pytest.mark.parametrize(("model", "result"), [(None, "FAILED"), ("model.gguf", "not done")])
def test_a_task_that_is_not_done_is_no_failure_where_a_real_model_tried(
    tmp_path: Path, model: str | None, result: str
) -> None:
    idle = client(tmp_path, NotDoneError("no file"), runs_on_any_model=True)
    asked = options(tmp_path, None if model is None else tmp_path / model)
    assert try_client(idle, SERVER, asked, tmp_path).result == result


def test_some_clients_may_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert [one.name for one in read_options(["--only", "codex,ai-sdk"]).clients] == [
        "ai-sdk",
        "codex",
    ]
    with pytest.raises(SystemExit):
        read_options(["--only", "nobody"])
    assert "no such client: nobody" in capsys.readouterr().err
