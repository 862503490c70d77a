"""What a state belongs to: another file, library or option computes another one."""

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Final

SAMPLES: Final = 64
SAMPLE_BYTES: Final = 16_384


def fingerprint(files: Sequence[Path], options: Iterable[str | int]) -> str:
    """Stands for these files, what they are opened with, and the version of llama.cpp. Blocks."""
    text = json.dumps([version("llama-cpp-python"), [*map(_digest, files)], [*options]])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _digest(path: Path) -> str:
    """A file by its size, its date, and samples from all of it: to read it whole takes seconds."""
    found = path.stat()
    digest = blake2b(f"{found.st_size} {found.st_mtime_ns}".encode(), digest_size=16)
    with path.open("rb") as file:
        for number in range(SAMPLES):
            file.seek(number * found.st_size // SAMPLES)
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
