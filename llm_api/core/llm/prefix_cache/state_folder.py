"""The thread that reads and writes the files of stored prefixes, so that no step waits for a disk.

Each call is answered on the thread that owns the cache, by `post`. Decides nothing about room.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Final

from llm_api.core.llm.prefix_cache import state_file
from llm_api.core.llm.prefix_cache.state_file import StateFileError
from llm_api.core.llm.prefix_cache.stored import State, StoredPrefix

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.01
"""Between the MBs of a file while models may be computing: at most 100 MB a second, a few percent
of a core."""

FULL_DISK_SECONDS: Final = 60.0
"""Without a further try to write, once a write has failed."""


class StateFolder:
    """One folder, which no other process writes to meanwhile. Open it once, close it last."""

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the folder. Blocks. Raises StateFileError, OSError."""
        self.root = root
        self.bytes_per_second = 200e6  # of a read; learnt
        self._clock = clock
        self._opened = ExitStack()
        state_file.make_folder(root)
        self._opened.callback(_lock(root / ".lock").close)
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="kv-files", daemon=True)
        self._is_hurried = False
        self._failed: float | None = None
        self._thread.start()

    def found(self) -> list[StoredPrefix]:
        """What the folder holds from before. Blocks. One line of log for all that is not used."""
        stored, reasons = [], []
        for path in state_file.files_of(self.root):
            try:
                if path.suffix == state_file.PART_ENDING:
                    raise StateFileError("its write was interrupted")
                stored.append(state_file.read_head(path))
            except (StateFileError, OSError) as error:
                reasons.append(f"{path.name}: {error}")
        if reasons:
            log.warning("KV_CACHE_DIR: %d files are ignored, such as %s", len(reasons), reasons[0])
        return stored

    def write(
        self, stored: StoredPrefix, state: State, then: Callable[[Path | None], None]
    ) -> None:
        """Write a file soon, and call `then` on this thread: with None where it failed."""
        self._calls.put(partial(self._write, stored, state, then))

    def read(self, stored: StoredPrefix, then: Callable[[State | None], None]) -> None:
        """Read a state soon, and call `then` on this thread: with None where it is not used."""
        self._calls.put(partial(self._read, stored, then))

    def remove(self, path: Path) -> None:
        self._calls.put(partial(state_file.remove, path))

    def hurry(self, *, is_hurried: bool) -> None:
        """Whether nothing computes that a write could slow down."""
        self._is_hurried = is_hurried

    def close(self, seconds: float) -> None:
        """Do what was asked before, for at most so long. Blocks. Idempotent."""
        self._is_hurried = True
        self._calls.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            log.warning("KV_CACHE_DIR: not everything could be written in time")
        self._opened.close()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception:
                log.exception("a file of KV_CACHE_DIR")

    def _write(
        self, stored: StoredPrefix, state: State, then: Callable[[Path | None], None]
    ) -> None:
        path = None
        try:
            if self._failed is None or self._clock() - self._failed > FULL_DISK_SECONDS:
                path = state_file.write(self.root, stored, state, self._pause)
                self._failed = None
        except (StateFileError, OSError) as error:
            self._failed = self._clock()
            log.warning("KV_CACHE_DIR: a prefix is not written: %s", error)
        finally:
            then(path)

    def _read(self, stored: StoredPrefix, then: Callable[[State | None], None]) -> None:
        state = None
        began = time.perf_counter()
        try:
            if stored.path is not None:
                state = state_file.read_state(stored, stored.path)
                speed = stored.size / max(time.perf_counter() - began, 1e-6)
                self.bytes_per_second += 0.3 * (speed - self.bytes_per_second)
        except FileNotFoundError:
            log.debug("a file of KV_CACHE_DIR is gone")
        except (StateFileError, OSError) as error:
            log.warning("KV_CACHE_DIR: %s is ignored: %s", stored.path and stored.path.name, error)
        finally:
            then(state)

    def _pause(self) -> None:
        if not self._is_hurried:
            time.sleep(PAUSE_SECONDS)


def _lock(path: Path) -> IO[bytes]:
    """Held until it is closed. Raises StateFileError where another process holds it."""
    file = path.open("ab")
    path.chmod(0o600)
    try:
        import fcntl  # noqa: PLC0415 - where the system has it

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except OSError as error:
        file.close()
        raise StateFileError("another process uses it") from error
    return file
