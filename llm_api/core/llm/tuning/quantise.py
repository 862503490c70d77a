"""Another quantisation of a model, written by llama.cpp's own quantiser in a separate process.

A process, because the quantiser cannot be stopped half-way, and ends its process over a tensor it
did not foresee: so an interrupt, or its crash, costs a temporary file, which is removed.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from llm_api.core.errors import InvalidRequestError, ModelFileError
from llm_api.core.llm.engine.llama_library import load_library
from llm_api.core.llm.files.gguf import GGUFModel, read_gguf
from llm_api.core.llm.files.gguf_types import FILE_TYPES
from llm_api.core.utils.machine import format_bytes

BITS_PER_WEIGHT: Final = {
    "BF16": 16.0,
    "F16": 16.0,
    "IQ4_NL": 4.5,
    "IQ4_XS": 4.3,
    "Q3_K_S": 3.5,
    "Q3_K_M": 3.9,
    "Q3_K_L": 4.3,
    "Q4_0": 4.5,
    "Q4_1": 5.0,
    "Q4_K_S": 4.6,
    "Q4_K_M": 4.9,
    "Q5_0": 5.5,
    "Q5_1": 6.0,
    "Q5_K_S": 5.5,
    "Q5_K_M": 5.7,
    "Q6_K": 6.6,
    "Q8_0": 8.5,
}
"""The types to choose from: none that needs an importance matrix, none below three bits."""

UNROUNDED: Final = frozenset({"F32", "F16", "BF16"})

# Embeddings and tensors whose rows do not divide into blocks get a larger type: seen up to 1.28.
_ESTIMATE_MARGIN = 1.3
_POLL_SECONDS = 0.1


def parse_type(name: str) -> str:
    """The type as llama.cpp writes it: `q4_k_m` is `Q4_K_M`. Pure. Raises InvalidRequestError."""
    known = name.strip().upper().replace("-", "_")
    if known in BITS_PER_WEIGHT:
        return known
    raise InvalidRequestError(
        f"There is no quantisation {name.strip() or 'of an empty name'} to choose;"
        f" there are {', '.join(BITS_PER_WEIGHT)}."
    )


def estimated_bytes(model: GGUFModel, type_name: str) -> int:
    """Roughly the size of this model's file as `type_name`, rather too large. Pure."""
    return int(model.parameter_count * BITS_PER_WEIGHT[type_name] / 8 * _ESTIMATE_MARGIN)


def quantised_name(stem: str, type_name: str) -> str:
    """The file name of a model as `type_name`: `m.Q4_1` becomes `m.Q4_0.gguf`. Pure."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", stem)  # all parts become one file
    for known in {*FILE_TYPES.values(), *BITS_PER_WEIGHT}:
        if stem.upper().endswith((f".{known}", f"-{known}")):
            stem = stem[: -len(known) - 1]
            break
    return f"{stem}.{type_name}.gguf"


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raises ModelFileError where `folder` has not that much room."""
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise ModelFileError(
            f"{folder} has {format_bytes(free)} free, and the candidates may take"
            f" {format_bytes(needed_bytes)}: name fewer with --types, or another --output."
        )


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """A hidden path beside `target` to write to; what is there at the end is removed.

    Moving it to `target` before the end keeps it.
    """
    # `.NAME.*` is what `remove_model` takes for a remnant of NAME.
    path = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def quantise(
    source: Path,
    target: Path,
    type_name: str,
    threads: int,
    on_written: Callable[[int], None] = lambda _size: None,
) -> None:
    """Write `source` as `type_name` to `target`. Blocks; `on_written` hears the size now and then.

    Leaves no file if it fails or is interrupted. Raises ModelFileError with llama.cpp's reason.
    """
    file_type = next(number for number, name in FILE_TYPES.items() if name == type_name)
    command = [sys.executable, "-m", __name__]
    command += [str(source), str(target), str(file_type), str(threads)]
    try:
        _run(command, target, type_name, on_written)
        read_gguf(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _run(
    command: list[str], target: Path, type_name: str, on_written: Callable[[int], None]
) -> None:
    with TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - this module, in our own interpreter
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
                on_written(target.stat().st_size if target.exists() else 0)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code := process.returncode:
            errors.seek(0)
            lines = errors.read().decode("utf-8", "replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            raise ModelFileError(
                f"llama.cpp could not write {type_name}:"
                f" {said[-1] if said else f'its process ended with {code}'}."
            )


def _quantise_here(source: str, target: str, file_type: str, threads: str) -> int:
    library = load_library()
    params = library.llama_model_quantize_default_params()
    params.ftype = int(file_type)
    params.nthread = int(threads)
    params.allow_requantize = True  # the caller has said what that loses
    code: int = library.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params))
    return code


if __name__ == "__main__":
    sys.exit(_quantise_here(*sys.argv[1:]))
