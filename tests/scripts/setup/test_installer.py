"""uv installs what pip would, and pip does where uv cannot."""

import io
import os
from pathlib import Path

import pytest

from scripts.setup.installer import Installer, SetupFailed, uv_environment
from scripts.setup.progress import Screen
from tests.scripts.setup.fake_python import calls_of, make_python

PIP_CONFIG = """\
:env:.default-timeout='60'
:env:.extra-index-url='https://two.example/simple https://three.example/simple'
global.cert='/etc/ca.pem'
global.extra-index-url='https://hidden.example'
global.find-links='/wheels\\n/more'
global.index-url='https://one.example/simple'
global.no-color='true'
install.index-url="https://o'ne.example/simple"
"""


def test_uv_is_told_what_pip_is_configured_to() -> None:
    assert uv_environment(PIP_CONFIG, {"PATH": "/bin", "UV_HTTP_TIMEOUT": "5"}) == {
        "PATH": "/bin",
        "UV_HTTP_TIMEOUT": "5",
        "UV_DEFAULT_INDEX": "https://o'ne.example/simple",
        "UV_INDEX": "https://two.example/simple https://three.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_uv_is_fetched_once_and_installs(tmp_path: Path) -> None:
    python = make_python(tmp_path)
    for _ in range(2):
        installer = Installer(python, tmp_path / "logs", Screen(io.StringIO()))
        installer.prepare()
        installer.install("packages", "-e", ".")
    called = calls_of(tmp_path)
    assert [call for call in called if call[-1] == "uv"] == [
        ["pip", "install", "-c", "constraints.txt", "uv"]
    ]
    assert called[-1] == [
        *("uv", "pip", "install", "-c", "constraints.txt", "-e", ".", "--python", str(python))
    ]


@pytest.mark.parametrize("fails", ["pip install -c constraints.txt uv", "uv pip install"])
def test_pip_installs_what_uv_cannot(tmp_path: Path, fails: str) -> None:
    installer = Installer(make_python(tmp_path, fails), tmp_path / "logs", Screen(io.StringIO()))
    installer.prepare()
    installer.install("packages", "-e", ".")
    assert calls_of(tmp_path)[-1] == ["pip", "install", "-c", "constraints.txt", "-e", "."]


def test_pip_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETUP_INSTALLER", "pip")
    installer = Installer(make_python(tmp_path), tmp_path / "logs", Screen(io.StringIO()))
    installer.prepare()
    installer.install("packages", "-e", ".")
    assert calls_of(tmp_path) == [["pip", "install", "-c", "constraints.txt", "-e", "."]]


def test_a_failure_names_its_log_and_what_to_do(tmp_path: Path) -> None:
    python = make_python(tmp_path, " -e .")
    installer = Installer(python, tmp_path / "logs", Screen(io.StringIO()))
    with pytest.raises(SetupFailed, match=r"packages\.log; .* goes on from here\.$") as failure:
        installer.install("packages", "-e", ".")
    assert "\n" not in str(failure.value)
    log = (tmp_path / "logs" / "packages.log").read_text(encoding="utf-8")
    assert log == f"refused{os.linesep}"
