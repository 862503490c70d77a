"""Memory for states: what is used again, what is made ready, what is given back."""

import time

import pytest

from llm_api.core.llm.prefix_cache import buffers as buffers_module
from llm_api.core.llm.prefix_cache.buffers import LEAST_PREPARED, Buffers
from tests.live import PATIENCE_SECONDS

MB = 1_000_000


def address(state: object) -> int:
    return int(state.ctypes.data)  # type: ignore[attr-defined]


def test_the_memory_of_a_state_that_is_gone_holds_the_next() -> None:
    buffers = Buffers(100 * MB)
    first, other = buffers.take(MB), buffers.take(MB)
    where = address(first)
    assert address(other) != where, "it is still read"
    del first
    longer = buffers.take(MB + MB // 10)
    assert (address(longer), len(longer)) == (where, MB + MB // 10)


def test_memory_comes_back_only_when_nobody_reads_it() -> None:
    buffers = Buffers(100 * MB)
    state = buffers.take(MB)
    where, read = address(state), state.data
    del state
    other = buffers.take(MB)
    assert address(other) != where
    del read
    assert address(buffers.take(MB)) == where


def test_a_small_state_takes_no_large_buffer() -> None:
    buffers = Buffers(100 * MB)
    where = address(buffers.take(10 * MB))
    assert address(buffers.take(MB)) != where


def test_no_more_is_held_than_may_be() -> None:
    buffers = Buffers(3 * MB)
    states = [buffers.take(MB) for _ in range(5)]
    states.clear()
    assert sum(map(len, buffers._spare.values())) <= 3 * MB


def wait_until_ready(buffers: Buffers, size: int) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not buffers.is_ready(size):
        assert time.monotonic() < until
        time.sleep(0.001)


def test_what_is_expected_is_made_ready_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers_module, "PAUSE_SECONDS", 0)
    buffers = Buffers(10 * LEAST_PREPARED)
    assert not buffers.is_ready(LEAST_PREPARED)
    buffers.expect(LEAST_PREPARED)
    wait_until_ready(buffers, LEAST_PREPARED)
    [ready] = buffers._spare.values()
    assert address(buffers.take(LEAST_PREPARED)) == address(ready)


def test_nobody_waits_for_what_will_not_be_made_ready() -> None:
    buffers = Buffers(10 * LEAST_PREPARED)
    for size in (LEAST_PREPARED - 1, 10 * LEAST_PREPARED):
        assert buffers.is_ready(size)
        buffers.expect(size)
        assert not buffers._expected
    buffers.close()
    buffers.expect(LEAST_PREPARED)
    assert not buffers._expected
