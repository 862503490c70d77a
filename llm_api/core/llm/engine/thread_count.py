"""How many threads compute a step: fewer while other programs hold the cores.

The threads of a step wait for each other some hundred times in it, by spinning. Where one of them
has to wait for a core, all do, and burn the others meanwhile: beside two busy programs on two cores
two threads take two to thirty times as long as one. Alone on the machine spinning is fastest, so
they go on spinning, though not for as long as the scheduler's slices (`llama_library`), and their
number changes.

Linux says how long a thread was ready to run and had no core. Elsewhere the number stays.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

WINDOW_SECONDS: Final = 0.1
"""Steps are judged together until they have taken so long: many slices of the scheduler."""

CROWDED: Final = 0.3
"""A thread that waits for a core for this part of the time is one of too many."""

SHORTEST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 8.0
"""Seconds of computing with fewer threads before all are tried; a try that fails doubles them."""

TRY_SECONDS: Final = 1.0
"""Threads that are crowded after less computing show that a try has failed."""

MANY_ROWS: Final = 64
"""A step of so many computes long between two waits: all threads are faster, load or not."""

_TASKS: Final = Path("/proc/self/task")


class ThreadCount:
    """What `count` should be, from how long its threads waited for a core. Pure.

    Threads that are crowded are too many: half of them go, at least one goes, and one stays. Once
    the rest has computed for the pause and was never crowded, all are tried again.
    """

    def __init__(self, most: int) -> None:
        self.count = most
        self._most = most
        self._pause = SHORTEST_PAUSE
        self._calm = 0.0  # seconds since the number changed or a thread was crowded

    def learn(self, seconds: float, waits: Sequence[float]) -> None:
        """In steps of `seconds` together, each thread waited so long for a core."""
        crowded = sum(wait > CROWDED * seconds for wait in waits)
        if not crowded:
            self._calm += seconds
            if self.count < self._most and self._calm >= self._pause:
                self.count, self._calm = self._most, 0.0
            return
        if self.count == self._most:
            has_failed = self._calm < TRY_SECONDS
            self._pause = min(2 * self._pause, LONGEST_PAUSE) if has_failed else SHORTEST_PAUSE
        self.count = max(1, self.count - math.ceil(crowded / 2))
        self._calm = 0.0


class Waits(Protocol):
    """Seconds that each of the threads waited for a core since it began."""

    def find(self) -> None:
        """Look for the threads anew: a step may have started some, and ended some."""
        ...

    def read(self) -> list[float]:
        """In the same order each time; none where nobody tells."""
        ...

    def close(self) -> None: ...


class CpuWaits:
    """Of this thread and those it starts, as Linux counts it.

    Made, asked and closed on one thread, and made before this starts any: those have its name, by
    which `find` knows them.
    """

    def __init__(self) -> None:
        self._name = f"compute {threading.get_native_id()}"
        self._files: list[int] = []
        with suppress(OSError):
            (_TASKS / str(threading.get_native_id()) / "comm").write_text(self._name)

    def find(self) -> None:
        self.close()
        with suppress(OSError):
            for task in sorted(_TASKS.iterdir()):
                with suppress(OSError):  # it has ended meanwhile
                    self._open(task)

    def _open(self, task: Path) -> None:
        if (task / "comm").read_text().strip() == self._name:
            self._files.append(os.open(task / "schedstat", os.O_RDONLY | os.O_CLOEXEC))

    def read(self) -> list[float]:
        try:
            return [int(os.pread(file, 80, 0).split()[1]) / 1e9 for file in self._files]
        except (OSError, IndexError, ValueError):  # one has ended
            self.find()
            return []

    def close(self) -> None:
        """Close the files. Idempotent."""
        while self._files:
            os.close(self._files.pop())


class StepThreads:
    """Counts the threads for the steps of one context. Without `waits` their number stays.

    Made and used on the thread that computes; made before its first step.
    """

    def __init__(
        self, most: int, waits: Waits | None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._most = most
        self._count = ThreadCount(most)
        self._waits = waits
        self._clock = clock
        self._seconds = 0.0  # of the steps since `_before` was read
        self._before: list[float] = []
        self._has_changed = True

    @property
    def count(self) -> int:
        return self._count.count

    def count_for(self, rows: int) -> int:
        """How many threads a step of so many rows has."""
        return self._most if rows >= MANY_ROWS else self.count

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Around each step, which computes with `count_for` its rows."""
        if self._waits is None:
            yield
            return
        if not self._seconds:
            self._before = self._waits.read()
        began = self._clock()
        yield
        self._seconds += self._clock() - began
        if self._has_changed:  # the step may have started threads, and ended some
            self._waits.find()
            self._has_changed, self._seconds = False, 0.0
        elif self._seconds >= WINDOW_SECONDS:
            self._judge(self._waits.read())

    def _judge(self, after: list[float]) -> None:
        if len(after) == len(self._before):
            waits = [end - start for start, end in zip(self._before, after, strict=True)]
            count = self.count
            self._count.learn(self._seconds, waits)
            self._has_changed = self.count != count
        self._seconds = 0.0

    def close(self) -> None:
        """Close what tells the waits. Idempotent."""
        if self._waits is not None:
            self._waits.close()
