"""Weights kept beside a model's own, because they were measured to be faster here and as good.

    models_dir/.tuned/NAME-OF-THE-SOURCE-AND-A-HASH-OF-ITS-PLACE/
        record.json         what was measured, of which source, on which machine
        NAME.Q8_0.gguf      the weights; absent where the source's own are the best

They hold for the very file they were made of, on the kind of CPU they were measured on. Everything
here blocks on the disk.
"""

import hashlib
import json
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from llm_api.core.utils.machine import cpu_flags

log = logging.getLogger(__name__)

TUNED_FOLDER: Final = ".tuned"
_RECORD: Final = "record.json"


@dataclass(frozen=True, slots=True)
class TunedSource:
    """A model's own file, as it was when it was measured."""

    size: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TunedRecord:
    """What was found out about a source. `file` None: nothing as good is faster.

    `size` is the file's. `machine` and `library` are the kind of CPU and the version of llama.cpp
    it was measured with. `told` says all of it in one line.
    """

    source: TunedSource
    machine: str
    library: str
    told: str
    file: str | None = None
    size: int = 0


def tuned_folder(source: Path, models_dir: Path) -> Path:
    """Where what was made of this file is kept."""
    place = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
    return models_dir / TUNED_FOLDER / f"{source.stem}-{place}"


def machine_kind() -> str:
    """The kind of CPU: the same where the same kernels are the fastest."""
    flags = " ".join(sorted(cpu_flags() or ()))
    return f"{platform.machine()}-{hashlib.sha256(flags.encode()).hexdigest()[:12]}"


def describe(source: Path) -> TunedSource:
    """Reads the whole file."""
    found = source.stat()
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return TunedSource(found.st_size, found.st_mtime_ns, digest)


def read_record(source: Path, models_dir: Path) -> TunedRecord | None:
    """The record of this file; None where there is none, or none that can be read."""
    try:
        text = (tuned_folder(source, models_dir) / _RECORD).read_text(encoding="utf-8")
        return _parsed(json.loads(text))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def find_tuned(source: Path, models_dir: Path) -> tuple[Path, TunedRecord] | None:
    """The weights to run instead of this file, if some are kept that hold here. Logs if not.

    The source is read only where its time has changed.
    """
    record = read_record(source, models_dir)
    if record is None or record.file is None:
        return None
    path = tuned_folder(source, models_dir) / record.file
    if reason := _why_not(source, path, record):
        log.warning(
            "%s is run as it is: what is kept beside it %s (`llm-api models optimize --auto`)",
            source.name,
            reason,
        )
        return None
    return path, record


def is_current(record: TunedRecord, source: Path, models_dir: Path, library: str) -> bool:
    """Whether measuring again would find out nothing new."""
    if record.library != library:
        return False
    path = tuned_folder(source, models_dir) / (record.file or _RECORD)
    return not _why_not(source, path if record.file else None, record)


def keep_tuned(source: Path, models_dir: Path, record: TunedRecord, weights: Path | None) -> None:
    """Move the weights to their place, and write the record of them. Replaces what was there."""
    folder = tuned_folder(source, models_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _RECORD).unlink(missing_ok=True)
    if weights is not None and record.file is not None:
        weights.replace(folder / record.file)
    for other in folder.iterdir():
        if other.name != record.file:
            other.unlink()
    part = folder / f".{_RECORD}.{os.getpid()}"
    try:
        part.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
        part.replace(folder / _RECORD)
    finally:
        part.unlink(missing_ok=True)


def _why_not(source: Path, path: Path | None, record: TunedRecord) -> str | None:
    if record.machine != machine_kind():
        return "was measured on another kind of CPU"
    if not _is_same(source, record.source):
        return "was made of another file"
    if path is not None and not (path.is_file() and path.stat().st_size == record.size):
        return "is incomplete"
    return None


def _is_same(source: Path, known: TunedSource) -> bool:
    found = source.stat()
    if found.st_size != known.size:
        return False
    return found.st_mtime_ns == known.modified_ns or describe(source).sha256 == known.sha256


def _parsed(values: Mapping[str, object]) -> TunedRecord:
    source = values["source"]
    file = values.get("file")
    if not isinstance(source, Mapping) or not isinstance(file, str | None):
        raise TypeError
    if file is not None and Path(file).name != file:
        raise ValueError
    return TunedRecord(
        TunedSource(int(source["size"]), int(source["modified_ns"]), str(source["sha256"])),
        str(values["machine"]),
        str(values["library"]),
        str(values["told"]),
        file,
        int(str(values["size"])),
    )
