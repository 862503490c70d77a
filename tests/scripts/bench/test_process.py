import sys
from pathlib import Path

import psutil
import pytest

from scripts.bench.contestants import Command
from scripts.bench.process import Contestant, Server, StartError, free_port
from tests.live import wait_until

PARENT = """
import subprocess, sys, time
stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); "
stubborn += "time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, end=".", flush=True)
time.sleep(60)
"""


def python(code: str) -> Command:
    return Command((sys.executable, "-c", code))


def test_stopped_contestant_is_gone_with_all_it_started(tmp_path: Path) -> None:
    contestant = Contestant("sleeper", python(PARENT), tmp_path / "log")
    contestant.start()
    process = contestant.process
    wait_until(lambda: contestant.last_words().endswith("."), 10)
    child = psutil.Process(int(contestant.last_words().rstrip(".")))
    contestant.stop()
    contestant.stop()
    assert process.returncode is not None
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    code = "raise SystemExit('no such model')"
    server = Server("broken", python(code), tmp_path / "log", free_port())
    server.start()
    try:
        with pytest.raises(StartError, match="no such model"):
            await server.wait_until_ready()
    finally:
        server.stop()


def test_contestant_that_was_not_started_is_an_error(tmp_path: Path) -> None:
    contestant = Contestant("idle", python(""), tmp_path / "log")
    contestant.stop()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = contestant.process
