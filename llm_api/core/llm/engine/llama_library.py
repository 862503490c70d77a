"""llama.cpp's process-wide state: initialised once, its log lines sent to Python's logging."""

import ctypes
import functools
import logging
from types import ModuleType

log = logging.getLogger("llama.cpp")

# By ggml_log_level. llama.cpp's details and warnings speak to its developers: they are worth
# reading when debugging.
_LEVELS = {4: logging.ERROR}


@functools.cache
def load_library() -> ModuleType:
    """The low-level API `llama_cpp.llama_cpp`, with its backends initialised. Thread-safe.

    The first call takes some 0.3 s: it maps the shared library and probes the devices.
    """
    import llama_cpp.llama_cpp as library  # noqa: PLC0415 - maps the shared library

    callback = library.llama_log_callback(_forward_log)
    library.llama_log_set(callback, ctypes.c_void_p(0))
    _keep_alive.append(callback)
    library.llama_backend_init()
    return library


_keep_alive: list[object] = []
"""llama.cpp calls these for as long as the process lives; a collected one would crash it."""


def _forward_log(level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
    level = _LEVELS.get(level, logging.DEBUG)
    if log.isEnabledFor(level):
        log.log(level, text.decode("utf-8", "replace").rstrip())
