"""How clients are pinned and installed."""

import re
from pathlib import Path

import pytest

from scripts.clients.case import Client
from scripts.clients.catalogue import CLIENTS
from scripts.clients.kits import NodeKit, PythonKit, SkippedError, installed

every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


@every_client
def test_every_client_is_pinned_and_its_pins_name_no_registry(client: Client) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", client.kit.version)
    for pin in client.kit.pins:
        assert "resolved" not in pin.read_text()


@every_client
def test_all_that_a_python_client_needs_is_pinned(client: Client) -> None:
    if isinstance(client.kit, PythonKit):
        lines = client.kit.pins[0].read_text().splitlines()
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


class FakeKit(PythonKit):
    """Says that it installs."""

    def install(self, home: Path) -> None:
        (home / "times").write_text("installed")


def test_a_kit_is_installed_once_and_again_when_its_pins_change(tmp_path: Path) -> None:
    folder, cache = tmp_path / "kit", tmp_path / "cache"
    folder.mkdir()
    (folder / "requirements.txt").write_text("openai==1.0.0\n")
    kit = FakeKit(folder, "openai", "program.py")
    home = cache / "kit"
    for pins, expected in [("1.0.0", True), ("1.0.0", False), ("1.0.1", True)]:
        (folder / "requirements.txt").write_text(f"openai=={pins}\n")
        command = installed(kit, cache)
        assert command == [str(home / "venv" / "bin" / "python"), str(folder / "program.py")]
        assert (home / "times").exists() == expected
        (home / "times").unlink(missing_ok=True)


def test_without_node_a_client_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    kit = next(client.kit for client in CLIENTS if isinstance(client.kit, NodeKit))
    with pytest.raises(SkippedError, match="there is no npm on the PATH"):
        installed(kit, tmp_path / "cache")


def test_a_program_of_the_machine_is_started_by_itself(tmp_path: Path) -> None:
    kit = NodeKit(tmp_path, "own", "bin/own", is_native=True)
    assert kit.command(tmp_path / "home") == [str(tmp_path / "home" / "bin" / "own")]


def test_a_kit_that_cannot_be_installed_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no registry answers >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    kit = next(client.kit for client in CLIENTS if isinstance(client.kit, NodeKit))
    with pytest.raises(SkippedError, match="it cannot be installed: no registry answers"):
        installed(kit, tmp_path / "cache")
