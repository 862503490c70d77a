"""A container without an engine: the image's entry point as a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx2

from scripts.bench.process import free_port
from tests.cli.command import environment
from tests.live import wait_until

ROOT = Path(__file__).parents[3]
ENTRY_POINT = ROOT / "scripts" / "docker" / "entrypoint.sh"
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Container:
    """A running entry point. `log` holds all that it writes."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return httpx2.get(f"{self.url}/health/ready").status_code == 200
            except httpx2.TransportError:
                return False

        wait_until(is_ready, START_SECONDS)

    def stop(self) -> int:
        """What `docker stop` does. Returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def variables(settings: Mapping[str, str], installed: Path | None = None) -> dict[str, str]:
    """The environment of a container: `llm-api` on the PATH, and these settings.

    `installed` is the virtual environment that has it, or None for the checkout in this one.
    """
    programs = Path(sys.executable).parent if installed is None else installed / "bin"
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    few = {"PATH": path, "QDRANT_USE_MEMORY": "true", "EMBEDDING_BACKEND": "none"}
    found = environment(**few, **settings)
    if installed is not None:
        del found["PYTHONPATH"]
    return found


def run(folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """The entry point to its end."""
    return subprocess.run(  # noqa: S603 - our own script
        [ENTRY_POINT, *arguments],
        cwd=folder,
        env=variables(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(
    folder: Path,
    *,
    wrapped: Callable[[Sequence[str]], Sequence[str]] = lambda command: command,
    installed: Path | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Container]:
    """The entry point while it serves, killed at the end of the block.

    `wrapped` makes the command one that limits what it may do.
    """
    port, log = free_port(), folder / "container-log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - as above
            wrapped([str(ENTRY_POINT), "serve"]),
            cwd=folder,
            env=variables({**settings, "PORT": str(port)}, installed),
            stdout=output,
            stderr=output,
        )
    try:
        yield Container(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.kill()
        process.wait()
