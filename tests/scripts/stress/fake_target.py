"""A server under stress that somebody else runs: the API of tests, in this process."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from scripts.bench.process import Server
from scripts.stress.case import MODEL, Target
from tests.fakes import CARD, FakeBackend


class RunningProcess:
    returncode = None
    pid = os.getpid()

    def poll(self) -> None:
        return None


@dataclass
class FakeServer:
    """Notes what it is told."""

    port: int
    process: RunningProcess = field(default_factory=RunningProcess)
    told: list[str] = field(default_factory=list)

    async def wait_until_ready(self) -> None:
        self.told.append("wait")

    def start(self) -> None:
        self.told.append("start")

    def stop(self) -> None:
        self.told.append("stop")


def fake_target(base_url: str, folder: Path, backend: FakeBackend) -> tuple[Target, FakeServer]:
    """`backend` is the model that cases ask."""
    backend.card = replace(CARD, aliases=(MODEL,))
    server = FakeServer(urlsplit(base_url).port or 0)
    target = Target(cast(Server, server), folder, has_small_disk=False, late_models=folder)
    return target, server
