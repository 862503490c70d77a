"""llama.cpp's process-wide state: initialised once, its log lines sent to Python's logging."""

import ctypes
import functools
import logging
import os
from types import ModuleType
from typing import Any, Final

log = logging.getLogger("llama.cpp")

# By ggml_log_level. llama.cpp's details and warnings speak to its developers: they are worth
# reading when debugging.
_LEVELS = {4: logging.ERROR}

SPINS: Final = "20000"
"""About half a millisecond: many times what threads with a core each wait for each other."""


@functools.cache
def load_library() -> ModuleType:
    """The low-level API `llama_cpp.llama_cpp`, with its backends initialised. Thread-safe.

    The first call takes some 0.3 s: it maps the shared library and probes the devices.
    """
    limit_spinning()
    import llama_cpp.llama_cpp as library  # noqa: PLC0415 - maps the shared library

    callback = library.llama_log_callback(_forward_log)
    library.llama_log_set(callback, ctypes.c_void_p(0))
    _keep_alive.append(callback)
    load_backends(library)
    library.llama_backend_init()
    return library


@functools.cache
def load_extension() -> ModuleType | None:
    """What llama.cpp has for MTP layers, outside its stable API; None where this build lacks it."""
    load_library()
    try:
        import llama_cpp.llama_cpp_ext as extension  # noqa: PLC0415 - with the library alone
    except (ImportError, AttributeError):
        return None
    return extension


def limit_spinning() -> None:
    """Let a thread of OpenMP that waits for others spin for less than a slice of the scheduler.

    By itself it spins for some milliseconds, on a core that the thread it waits for may need. GNU's
    OpenMP reads this once, when it is mapped. What a person has said of it stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def load_backends(library: Any) -> None:
    """Let a portable build load the kernels for this CPU, which are a file for each kind of CPU.

    By itself it would look for them beside the executable, which is Python's. Other builds have
    theirs linked in.
    """
    ggml = library._lib
    if ggml.ggml_backend_reg_count() == 0:
        ggml.ggml_backend_load_all_from_path(str(library._base_path).encode())


_keep_alive: list[object] = []
"""llama.cpp calls these for as long as the process lives; a collected one would crash it."""


def _forward_log(level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
    level = _LEVELS.get(level, logging.DEBUG)
    if log.isEnabledFor(level):
        log.log(level, text.decode("utf-8", "replace").rstrip())
