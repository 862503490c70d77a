"""The number of threads: what it follows, and that Linux tells it."""

import _thread
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llm_api.core.llm.engine.llama_library import SPINS
from llm_api.core.llm.engine.thread_count import (
    LONGEST_PAUSE,
    MANY_ROWS,
    SHORTEST_PAUSE,
    WINDOW_SECONDS,
    CpuWaits,
    StepThreads,
    ThreadCount,
)

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CALM, BUSY = 0.0, 0.05
"""Seconds that a thread waits for a core in a window of 0.1 s."""


def learn(threads: ThreadCount, *waits: float) -> int:
    threads.learn(0.1, waits)
    return threads.count


def test_alone_on_the_machine_all_threads_compute() -> None:
    threads = ThreadCount(4)
    assert [learn(threads, 0.001, 0.002, 0.0, 0.01) for _ in range(99)] == [4] * 99


@pytest.mark.parametrize(
    ("most", "waits", "left"),
    [
        (2, (BUSY, BUSY), 1),
        (2, (CALM, BUSY), 1),
        (8, (*[CALM] * 7, BUSY), 7),
        (8, (*[CALM] * 4, *[BUSY] * 4), 6),
        (8, (BUSY,) * 8, 4),
        (1, (BUSY,), 1),
    ],
)
def test_half_of_the_crowded_threads_go_and_one_stays(
    most: int, waits: tuple[float, ...], left: int
) -> None:
    assert learn(ThreadCount(most), *waits) == left


def test_while_the_rest_is_crowded_too_more_threads_go() -> None:
    threads = ThreadCount(8)
    assert [learn(threads, *[BUSY] * threads.count) for _ in range(5)] == [4, 2, 1, 1, 1]


def test_all_are_tried_again_once_the_rest_was_calm_for_a_pause() -> None:
    threads = ThreadCount(2)
    calm = math.ceil(10 * SHORTEST_PAUSE)
    assert learn(threads, BUSY, BUSY) == 1
    assert [learn(threads, CALM, CALM) for _ in range(calm - 1)] == [1] * (calm - 1)
    assert learn(threads, BUSY, CALM) == 1  # the pause begins anew
    assert [learn(threads, CALM, CALM) for _ in range(2 * calm)][-1] == 2


def test_tries_that_fail_become_rare() -> None:
    threads, tries = ThreadCount(2), 0
    for _ in range(600):
        tries += threads.count == 2
        learn(threads, *([BUSY, BUSY] if threads.count == 2 else [CALM, CALM]))
    assert 60 / LONGEST_PAUSE / 2 < tries < 60 / LONGEST_PAUSE + 8


def test_a_load_that_was_long_ago_is_forgotten() -> None:
    threads = ThreadCount(2)
    for _ in range(9):
        assert learn(threads, BUSY, BUSY) == 1
        windows = [learn(threads, CALM, CALM) for _ in range(40)]
        assert windows == sorted(windows)
        assert windows[2 * math.ceil(10 * SHORTEST_PAUSE)] == 2


def test_where_the_system_tells_no_waits_the_number_stays() -> None:
    assert learn(ThreadCount(2)) == 2


STEP_SECONDS = 0.6 * WINDOW_SECONDS
"""Two steps fill a window."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Waits:
    """The waits of two threads as a test sets them."""

    def __init__(self) -> None:
        self.told = [0.0, 0.0]

    def find(self) -> None:
        pass

    def read(self) -> list[float]:
        return list(self.told)

    def close(self) -> None:
        pass


def on_a_thread(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def test_steps_are_judged_together_and_by_what_was_waited_within_them() -> None:
    clock, waits = Clock(), Waits()
    threads = StepThreads(2, waits, clock)

    def step(waited: float) -> int:
        with threads.watch():
            clock.now += STEP_SECONDS
            waits.told = [one + waited for one in waits.told]
        return threads.count

    step(STEP_SECONDS)  # the first starts the threads
    assert [step(0.0), step(0.0)] == [2, 2]
    waits.told = [9.0, 9.0]  # between windows
    assert [step(0.0), step(0.0)] == [2, 2]
    assert [step(STEP_SECONDS), step(0.0)] == [2, 1]
    assert [threads.count_for(rows) for rows in (1, MANY_ROWS - 1, MANY_ROWS)] == [1, 1, 2]


@contextmanager
def another_thread() -> Iterator[None]:
    """A thread that Python gives no name, as OpenMP's."""
    ends = threading.Event()
    _thread.start_new_thread(ends.wait, ())
    try:
        yield
    finally:
        ends.set()


@needs_linux
def test_a_thread_and_those_it_starts_are_known_by_their_name() -> None:
    def work() -> None:
        with closing(CpuWaits()) as waits, another_thread():
            waits.find()
            told = waits.read()
        name = Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text()
        assert name == f"compute {threading.get_native_id()}\n"
        assert len(told) == 2
        assert all(0 <= seconds < 3600 for seconds in told)
        assert waits.read() == []

    on_a_thread(work)


@needs_linux
def test_a_thread_that_ended_is_not_asked_any_more() -> None:
    def work() -> None:
        with closing(CpuWaits()) as waits:
            with another_thread():
                waits.find()
                assert len(waits.read()) == 2
            while len(waits.read()) != 1:
                time.sleep(0.001)

    on_a_thread(work)


SAYS_SPINS = """
import ctypes
from llm_api.core.llm.engine.llama_library import load_library
load_library()
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
print(getenv(b"GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("chosen", "in_force"),
    [
        ({}, SPINS.encode()),
        ({"GOMP_SPINCOUNT": "7"}, b"7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_openmp_spins_briefly_unless_a_person_says_otherwise(
    chosen: Mapping[str, str], in_force: bytes | None
) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", SAYS_SPINS],
        env={**environment, **chosen},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == repr(in_force)
