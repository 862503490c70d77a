"""A real PostgreSQL to try things with: that of `TEST_DATABASE_URL`, or one started here."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from scripts.bench.process import free_port

_PACKAGED = Path("/usr/lib/postgresql")
_NOBODY = "nobody"


class NoPostgreSQLError(Exception):
    """There is none. `str(error)` says why."""


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The URL of an empty database, which keeps nothing. Raises NoPostgreSQLError."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        user = _user(Path(folder))
        data = Path(folder) / "data"
        _run([programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync"], user)
        with _server(programs / "postgres", data, user) as port:
            yield f"postgresql://tests@127.0.0.1:{port}/postgres"


@contextmanager
def new_database(url: str, name: str) -> Iterator[str]:
    """The URL of another database on the same server, dropped at the end."""
    psql = [str(_programs() / "psql"), "-q", "-d", url, "-c"]
    subprocess.run([*psql, f'CREATE DATABASE "{name}"'], check=True)
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        subprocess.run([*psql, f'DROP DATABASE "{name}" WITH (FORCE)'], check=True)


def _programs() -> Path:
    """The folder of the newest that is installed: Debian does not put it on the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(_PACKAGED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not folders:
        raise NoPostgreSQLError("TEST_DATABASE_URL is not set, and there is no initdb here")
    return folders[-1].parent


def _user(folder: Path) -> str | None:
    """Who runs it: PostgreSQL refuses root. The folder becomes that user's."""
    if os.getuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam(_NOBODY)
    except KeyError:
        raise NoPostgreSQLError("PostgreSQL refuses root, and there is no user nobody") from None
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return _NOBODY


def _run(command: list[str | Path], user: str | None) -> None:
    done = subprocess.run(command, user=user, capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        raise NoPostgreSQLError(f"initdb failed: {done.stderr.strip()[-300:]}")


@contextmanager
def _server(program: Path, data: Path, user: str | None) -> Iterator[int]:
    port = free_port()
    options = {"fsync": "off", "unix_socket_directories": "", "max_connections": "200"}
    arguments = [str(program), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
    arguments += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        arguments, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        _wait_for(data, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(data: Path, process: "subprocess.Popen[bytes]") -> None:
    """The server writes `ready` into its file when it answers."""
    file = data / "postmaster.pid"
    for _ in range(3000):
        if process.poll() is not None:
            raise NoPostgreSQLError(f"postgres ended with status {process.returncode}")
        if file.exists() and file.read_text(encoding="utf-8").rstrip().endswith("ready"):
            return
        time.sleep(0.01)
    raise NoPostgreSQLError("postgres did not start within 30 seconds")
