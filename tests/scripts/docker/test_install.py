"""The installation of the image in a fresh environment, as far as it takes no compiler.

llama.cpp comes as a wheel made of the installed one: to compile it, for minutes, is for
`make docker-test`. So is PyTorch, for its size.
"""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import httpx2
import pytest

from tests.scripts.docker.container import ROOT, running

pytestmark = pytest.mark.long

SCRIPTS = ROOT / "scripts" / "docker"


def wheel_of(name: str, folder: Path) -> Path:
    """An installed distribution as the wheel that it came from."""
    found = distribution(name)
    tag = next(
        line.removeprefix("Tag: ")
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    )
    wheel = folder / f"{name}-{found.version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in found.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                archive.write(str(file.locate()), file.as_posix())
    return wheel


@pytest.mark.timeout(600)
def test_a_fresh_environment_serves(tmp_path: Path) -> None:
    wheel_of("llama_cpp_python", tmp_path)
    environment = tmp_path / "environment"
    done = subprocess.run(  # noqa: S603 - our own script
        [SCRIPTS / "install.sh", environment, tmp_path],
        env=os.environ | {"PYTHON": sys.executable, "EXTRAS": "", "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "NewConnectionError" in done.stderr or "NameResolutionError" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    with running(tmp_path, installed=environment) as container:
        container.wait_until_ready()
        models = httpx2.get(f"{container.url}/v1/models").json()["data"]
        assert models[0]["loaded"] is True
        assert container.stop() == 0


def test_llama_cpp_is_compiled_for_a_known_variant_only(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own script
        [SCRIPTS / "build_llama.sh", "riscv", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "'riscv'" in done.stderr
    assert list(tmp_path.iterdir()) == []
