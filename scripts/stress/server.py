"""The one server that all cases are tried on."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from scripts.bench.contestants import Command
from scripts.bench.process import Server, free_port
from scripts.stress.broken_models import KINDS, link_models, model_file
from scripts.stress.case import ECHO, MAX_QUEUE, MODEL, PARALLEL, Target

DISK_MIB = 640
"""Documents are refused while less than 256 MiB are free; the engine lays out files of 64 MiB."""


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Target]:
    """A server that works in `folder`, begun and ended. Not ready yet."""
    disk, models = folder / "disk", folder / "models"
    for one in (disk, models):
        one.mkdir()
    link_models(models)
    with _small_disk(disk) as has_small_disk:
        server = _server(folder, disk, models, settings)
        server.start()
        try:
            yield Target(server, disk, has_small_disk, models)
        finally:
            server.stop()


def _server(folder: Path, disk: Path, models: Path, settings: Mapping[str, str]) -> Server:
    config = folder / "models.yaml"
    config.write_text(yaml.safe_dump({"models": _models(models)}))
    port = free_port()
    environment = {
        "CONFIG_FILE": str(config),
        "PORT": str(port),
        "DATA_DIR": str(disk / "data"),
        "LOG_FILE": str(disk / "log.jsonl"),
        "OMP_WAIT_POLICY": "passive",
        **settings,
    }
    command = Command(
        (sys.executable, "-m", "llm_api"),
        ready_path="/health/ready",
        environment=tuple(environment.items()),
    )
    return Server("the server", command, folder / "server.log", port)


def _models(folder: Path) -> list[dict[str, object]]:
    broken = [
        {"name": kind, "path": str(model_file(folder, kind)), "parallel": 1, "context_length": 256}
        for kind in KINDS
    ]
    own = {"name": MODEL, "default": True, "load": "startup"}
    room = {"parallel": PARALLEL, "max_queue": MAX_QUEUE}
    return [own | room, {"name": ECHO, "backend": "stub"}, *broken]


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """A disk of DISK_MIB in memory at this folder, where this user may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    unmount = ["umount", "--lazy", str(folder)]
    is_mounted = False
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(unmount, check=False)
