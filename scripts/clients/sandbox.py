"""Where a client runs: a home and a working folder of its own, and no way out but loopback.

The environment holds nothing of the person's, switches telemetry off and names a proxy that lets
nobody through. A program that heeds no proxy is not held: Node's own `fetch` does not.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.clients.loopback import HOST

_LAST_WORDS: Final = 300
_QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "NO_COLOR": "1",
    "NO_UPDATE_NOTIFIER": "1",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a program: `status` is None where its time was up."""

    status: int | None
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """Why it failed, on one line."""
        if self.status is None:
            return "its time was up"
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        errors = [line for line in lines if re.match(r"ERROR\b|(\w+\.)*\w*Error\b", line)]
        last = [*lines[-1:], *errors[-1:]]
        return last[-1][-_LAST_WORDS:] if last else f"it ended with {self.status}"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """`door` is the port of the proxy that lets nobody through."""

    folder: Path
    door: int

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def environment(self) -> dict[str, str]:
        proxy = f"http://{HOST}:{self.door}"
        names = ("http_proxy", "https_proxy", "all_proxy")
        proxies = {name: proxy for both in names for name in (both, both.upper())}
        here = dict.fromkeys(("no_proxy", "NO_PROXY"), f"{HOST},localhost")
        own = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        return {**own, **proxies, **here, **_QUIET}

    def run(self, command: Sequence[str], seconds: float, **variables: str) -> Done:
        """Run it in the working folder; end it, and all that it started, when its time is up."""
        for folder in (self.home, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            command,
            cwd=self.work,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                output, errors = process.communicate(timeout=seconds)
                return Done(process.returncode, output, errors)
            except subprocess.TimeoutExpired:
                _end_all(process)
                output, errors = process.communicate()
                return Done(None, output, errors)
            finally:
                _end_all(process)


def _end_all(process: "subprocess.Popen[str]") -> None:
    """End what is left of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
