"""What docker-compose.yml starts, without containers: a Qdrant server and the entry point."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from llm_api.config.settings import Settings
from scripts.bench.contestants import ROOT
from scripts.bench.process import free_port
from scripts.qdrant_server import NoQdrantError, running_qdrant

ENTRY_POINT = ROOT / "scripts" / "docker" / "entrypoint.sh"
START_SECONDS = 120.0
STOP_SECONDS = 30.0


class StartError(Exception):
    """The server does not come up. The message ends with its last words."""


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A running stack. `store` says where it keeps documents."""

    url: str
    api_key: str
    store: str
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        """SIGTERM, as `docker stop` sends it. Returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def local_stack(environment: Path | None = None) -> Iterator[LocalStack]:
    """Ready to answer; gone with the block. `environment` is a virtual one, or this one's.

    Raises StartError.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm_api-")))
        store, where = _store(stack)
        port, key = free_port(), secrets.token_urlsafe(24)
        variables = _inherited() | where | _programs(environment)
        log_path = folder / "log.txt"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [ENTRY_POINT, "serve"],
                cwd=folder,
                env=variables | {"PORT": str(port), "API_KEY": key},
                stdout=log,
                stderr=log,
            )
        running = LocalStack(f"http://127.0.0.1:{port}", key, store, process)
        stack.callback(_end, process)
        _wait(running, log_path)
        yield running


def _store(stack: ExitStack) -> tuple[str, dict[str, str]]:
    try:
        return "a Qdrant server", {"QDRANT_URL": stack.enter_context(running_qdrant()).url}
    except NoQdrantError as error:
        return f"memory, because {error}", {"QDRANT_USE_MEMORY": "true"}


def _inherited() -> dict[str, str]:
    """The environment of this process, without settings of the server."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in Settings.model_fields
    }


def _programs(environment: Path | None) -> dict[str, str]:
    """Where `llm-api` is found: in another environment, or the checkout's code in this one."""
    programs = Path(sys.executable).parent if environment is None else environment / "bin"
    path = {"PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    return path | ({"PYTHONPATH": str(ROOT)} if environment is None else {})


def _wait(stack: LocalStack, log_path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and stack.process.poll() is None:
        try:
            if httpx2.get(f"{stack.url}/health/ready", timeout=5).is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise StartError(f"the server does not start: {log_path.read_text(errors='replace')[-600:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
