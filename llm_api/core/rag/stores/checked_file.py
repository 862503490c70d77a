"""Small JSON files that are whole or not at all, and that tell when they have been damaged. Blocks.

{"checksum": <CRC-32 of the value's JSON>, "value": ...}
"""

import json
import os
from pathlib import Path
from zlib import crc32


class DamagedFileError(Exception):
    """The file does not hold what was written into it. `str(error)` says how that shows."""


def write_checked(path: Path, value: object) -> None:
    """Durable, and whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(json.dumps({"checksum": _checksum(value), "value": value}, indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def read_checked(path: Path) -> object:
    """Raises FileNotFoundError, DamagedFileError, and OSError for what cannot be read at all."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DamagedFileError("it is not JSON") from error
    if not isinstance(content, dict) or content.keys() != {"checksum", "value"}:
        raise DamagedFileError("it has no checksum")
    if content["checksum"] != _checksum(content["value"]):
        raise DamagedFileError("its checksum is not that of its content")
    value: object = content["value"]
    return value


def sync_folder(folder: Path) -> None:
    """Make durable what was renamed or removed in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(value: object) -> int:
    return crc32(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
