"""A contestant's process: started, waited for, measured from outside, and ended in every case."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from scripts.bench.client import HOST, get
from scripts.bench.contestants import ROOT, Command, own_environment

START_SECONDS = 120.0
STOP_SECONDS = 10.0


class StartError(Exception):
    """A contestant did not come up. The message ends with its last words."""


class Contestant:
    """A running process. Not started by its constructor: `start` is."""

    def __init__(self, name: str, command: Command, log_path: Path) -> None:
        self.name = name
        self.command = command
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, stdin: int = subprocess.DEVNULL, stdout: int | None = None) -> None:
        """Run the command in a session of its own, in a folder without a `.env`."""
        environment = own_environment() | dict(self.command.environment)
        environment["PYTHONPATH"] = str(ROOT)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self.command.arguments,
                stdin=stdin,
                stdout=log if stdout is None else stdout,
                stderr=log,
                cwd=self._log_path.parent,
                env=environment,
                start_new_session=True,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process

    def stop(self) -> None:
        """End it and all it started: asked first, then killed. Idempotent."""
        if self._process is None:
            return
        group = self._process.pid
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None

    def cpu_seconds(self) -> float:
        """Processor time it has taken so far; 0 once it is gone."""
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def descriptors(self) -> int:
        return int(psutil.Process(self.process.pid).num_fds())

    def last_words(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")[-600:].strip()


class Server(Contestant):
    """A contestant that speaks HTTP."""

    def __init__(self, name: str, command: Command, log_path: Path, port: int) -> None:
        super().__init__(name, command, log_path)
        self.port = port

    async def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Raises StartError where it ends, or is not there in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            status, _ = await get(self.port, self.command.ready_path)
            if status == 200:
                return
            await asyncio.sleep(0.2)
        raise StartError(f"{self.name} does not answer: {self.last_words()}")

    async def model_name(self) -> str:
        """What it calls its model."""
        _, body = await get(self.port, "/v1/models")
        return str(json.loads(body)["data"][0]["id"])


@contextmanager
def running_server(
    name: str, command: Command, log_path: Path, port: int, seconds: float = START_SECONDS
) -> Iterator[str]:
    """A server until the block ends, as its URL. Raises StartError."""
    server = Server(name, command, log_path, port)
    server.start()
    try:
        asyncio.run(server.wait_until_ready(seconds))
        yield f"http://{HOST}:{port}"
    finally:
        server.stop()


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
