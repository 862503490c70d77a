"""Records become lines, a caller never waits, and the log tells how many are lost."""

import json
import threading
from collections.abc import AsyncGenerator

import pytest

from llm_api.core.utils.jsonl_log import JSONLLog, LogLimits
from tests.live import wait_until


class FakeFile:
    """Keeps the lines, fails with `error` while there is one, and waits for `gate`."""

    def __init__(self) -> None:
        self.data = b""
        self.attempts = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False

    def append(self, data: bytes) -> None:
        self.attempts += 1
        self.gate.wait()
        if self.error is not None:
            raise self.error
        self.data += data

    def close(self) -> None:
        self.is_closed = True

    @property
    def records(self) -> list[object]:
        return [json.loads(line) for line in self.data.splitlines()]


@pytest.fixture
def file() -> FakeFile:
    return FakeFile()


@pytest.fixture
async def log(file: FakeFile) -> AsyncGenerator[JSONLLog, None]:
    log = JSONLLog(file, "the log", LogLimits(records=10, characters=100, closing_seconds=0.2))
    yield log
    file.gate.set()
    await log.aclose()


async def test_the_end_waits_for_what_is_pending(log: JSONLLog, file: FakeFile) -> None:
    for number in range(10):
        log.append({"number": number})
    await log.aclose()
    assert file.records == [{"number": number} for number in range(10)]
    assert file.is_closed
    await log.aclose()


async def test_a_record_is_one_line_whatever_its_texts(log: JSONLLog, file: FakeFile) -> None:
    texts = ["two\nlines", "größe", "\u2028", "\ud800", '"', "\x00"]
    log.append({"texts": texts})
    await log.aclose()
    assert file.data.count(b"\n") == 1
    assert file.records == [{"texts": texts}]
    assert "größe".encode() in file.data


def wait_until_dropped(log: JSONLLog, count: int) -> None:
    wait_until(lambda: log.dropped == count)


async def test_failure_is_told_once_and_recovery_with_what_was_lost(
    log: JSONLLog, file: FakeFile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    file.error = OSError(28, "No space left on device")
    for number in (1, 2, 3):
        log.append({"number": number})
        wait_until_dropped(log, number)
    assert log.problem == "No space left on device"
    file.error = None
    log.append({"number": 4})
    wait_until(lambda: log.problem is None)
    assert file.records == [{"number": 4}]
    assert log.dropped == 3
    assert caplog.messages == [
        "the log: cannot be written: No space left on device; requests go on",
        "the log: 3 lines were lost; it is written again",
    ]


async def test_a_bug_in_writing_ends_nothing(log: JSONLLog, file: FakeFile) -> None:
    log.append({"unwritable": object()})
    wait_until_dropped(log, 1)
    assert log.problem == "TypeError"
    log.append({"number": 1})
    wait_until(lambda: file.records == [{"number": 1}])


async def stuck(log: JSONLLog, file: FakeFile) -> None:
    """Let the thread hang in a write of one record."""
    file.gate.clear()
    log.append({"number": 0})
    wait_until(lambda: file.attempts == 1)


async def test_a_disk_that_hangs_costs_bounded_memory_and_nobody_s_time(
    log: JSONLLog, file: FakeFile, caplog: pytest.LogCaptureFixture
) -> None:
    await stuck(log, file)
    for number in range(1, 15):
        log.append({"number": number})
    assert log.dropped == 4
    file.gate.set()
    await log.aclose()
    assert file.records == [{"number": number} for number in range(11)]
    assert caplog.messages == ["the log: 4 lines were lost; it is written again"]


async def test_large_texts_are_bounded_as_well(log: JSONLLog, file: FakeFile) -> None:
    await stuck(log, file)
    log.append({"prompts": [[{"role": "user", "content": "x" * 60}]]})
    log.append({"prompts": ["y" * 60]})
    log.append({"prompts": ["z" * 10]})
    assert log.dropped == 1


async def test_the_end_does_not_wait_for_a_disk_that_hangs(log: JSONLLog, file: FakeFile) -> None:
    await stuck(log, file)
    await log.aclose()
    assert not file.is_closed
