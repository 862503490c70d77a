"""Files of a Git repository as they are tracked at a ref, read by the system's `git`. Blocks.

Nothing is checked out: no hook, no filter and no link of the repository takes effect. Of another
machine's, one commit is fetched, over HTTPS, HTTP or SSH; its submodules and large files (LFS) are
not. `git` asks for no password: credentials are those that it knows.
"""

import math
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from subprocess import DEVNULL, PIPE
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from llm_api.cli.rag.files import FoundFile, FoundSource, is_hidden, mark_of
from llm_api.cli.rag.fitness import HEAD_BYTES, MAX_FILE_BYTES, Unfit, why_unfit
from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.files import COMMIT_FIELD, document_id
from llm_api.core.rag.loaders.kinds import Kind, binary_kind
from llm_api.core.rag.sync import MARK
from llm_api.core.rag.types import Metadata

FETCH_SECONDS: Final = 600
READ_SECONDS: Final = 60
MAX_FETCHED_BYTES: Final = 2_000_000_000
"""Of a commit as it is sent: whoever sends it could fill the disk."""
_LOOK_SECONDS: Final = 0.2
URL_FIELD: Final = "git_url"

_URL: Final = re.compile(r"(?:https?|ssh)://\S+|[\w.-]+@[\w.-]+:\S+")
_OPTIONS: Final = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"),
    *("-c", "core.sshCommand=ssh -oBatchMode=yes", "-c", "protocol.allow=never"),
    *("-c", "protocol.https.allow=always", "-c", "protocol.http.allow=always"),
    *("-c", "protocol.ssh.allow=always"),
)
_FILE_MODES: Final = ("100644", "100755")


def is_repository_url(text: str) -> bool:
    """Whether it names a repository of another machine."""
    return _URL.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class TrackedFile(FoundFile):
    """A file of a repository at a commit. `path` is where it would be."""

    blob: str
    length: int
    origin: Mapping[str, str]
    blobs: "_Blobs"

    @property
    def size(self) -> int:
        return self.length

    @property
    def metadata(self) -> Metadata:
        return {**super().metadata, **self.origin}

    def read(self) -> bytes:
        return self.blobs.read(self.blob, self.name)

    @cached_property
    def digest(self) -> str:
        return sha256(self.read()).hexdigest()

    def unfit(self) -> Unfit | None:
        is_known = not 0 < self.length <= MAX_FILE_BYTES
        return why_unfit(b"" if is_known else self._head, self.length, self.path.name)

    def is_picture(self) -> bool:
        return binary_kind(self._head, self.path.name) is Kind.IMAGE

    @cached_property
    def _head(self) -> bytes:
        return self.read()[:HEAD_BYTES]


@contextmanager
def tracked_files(
    repository: str, ref: str | None = None, source: str | None = None
) -> Iterator[FoundSource]:
    """The tracked files of a repository by URL, or by a folder, that can be read inside.

    Raises UnreadableFileError for what is no repository, or has no such ref.
    """
    if ref is not None and (ref.startswith("-") or not ref.isprintable()):
        raise UnreadableFileError(f"{ref!r} is no ref of a repository.")
    if not is_repository_url(repository):
        folder = Path(repository)
        name, root = (source, source) if source else mark_of(folder)
        with _opened(folder, f"{ref or 'HEAD'}^{{commit}}", name, root, {}) as found:
            yield found
        return
    url = _without_credentials(repository)
    name = source or PurePosixPath(url.replace(":", "/")).name.removesuffix(".git")
    root = source or f"{name}{MARK}{sha256(url.encode()).hexdigest()[:12]}"
    with tempfile.TemporaryDirectory(prefix="llm-api-git-") as place:
        folder = Path(place)
        _git(folder, "init", "--quiet", "--bare", ".")
        fetch = ("fetch", "--quiet", "--depth", "1", "--no-tags", "--no-recurse-submodules")
        _fetch(folder, *fetch, "--", repository, ref or "HEAD")
        with _opened(folder, "FETCH_HEAD^{commit}", name, root, {URL_FIELD: url}) as found:
            yield found


@contextmanager
def _opened(
    folder: Path, ref: str, name: str, root: str, origin: Mapping[str, str]
) -> Iterator[FoundSource]:
    commit = _git(folder, "rev-parse", "--verify", "--end-of-options", ref).decode().strip()
    listed = _git(folder, "ls-tree", "-r", "-z", "--long", commit)
    with _Blobs(folder) as blobs:
        files = {}
        for entry in listed.split(b"\0"):
            head, _, path = entry.partition(b"\t")
            mode, _, blob, size = (head.decode().split() or ["", "", "", "0"])[:4]
            name_in = path.decode("utf-8", "replace")
            if mode not in _FILE_MODES or is_hidden(name_in):
                continue
            file = TrackedFile(
                folder / name_in,
                f"{name}/{name_in}",
                root,
                blob=blob,
                length=int(size),
                origin={**origin, COMMIT_FIELD: commit},
                blobs=blobs,
            )
            files[file.id] = file
        yield FoundSource(document_id(name), root, files, is_complete=True)


class _Blobs:
    """Contents by their names, from one `git` that stays."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments
            _command(folder, "cat-file", "--batch"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> "_Blobs":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, blob: str, name: str) -> bytes:
        """Raises UnreadableFileError."""
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise UnreadableFileError(f"{name}: git has ended.")
        try:
            process.stdin.write(f"{blob}\n".encode())
            process.stdin.flush()
            size = int(process.stdout.readline().split()[2])
            data = process.stdout.read(size + 1)[:-1]
        except (OSError, ValueError, IndexError) as error:
            raise UnreadableFileError(f"{name}: git does not give it.") from error
        return data


def _command(folder: Path, *arguments: str) -> Sequence[str]:
    return ("git", *_OPTIONS, "-C", str(folder), *arguments)


def _git(folder: Path, *arguments: str, seconds: float = READ_SECONDS) -> bytes:
    """What it says. Without a terminal, on which it would ask for a password."""
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            _command(folder, *arguments),
            stdin=DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise UnreadableFileError("A repository is read by `git`, which is not there.") from error
    except subprocess.TimeoutExpired as error:
        raise UnreadableFileError(f"git did not end within {seconds:g} seconds.") from error
    _check_said(arguments[0], done.returncode, done.stderr)
    return done.stdout


def _fetch(folder: Path, *arguments: str) -> None:
    """Fetch into the folder, which grows to MAX_FETCHED_BYTES, and a look's worth more, at most."""
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        _command(folder, *arguments),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        start_new_session=True,
    )
    ends_at, said = time.monotonic() + FETCH_SECONDS, b""
    with process:
        try:
            while process.returncode is None:
                try:
                    _, said = process.communicate(timeout=_LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    _check_fetched(folder, ends_at)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    _check_fetched(folder, math.inf)
    _check_said(arguments[0], process.returncode, said)


def _check_fetched(folder: Path, ends_at: float) -> None:
    """Raises UnreadableFileError where a fetch has taken too much of the disk, or too long."""
    if time.monotonic() > ends_at:
        raise UnreadableFileError(f"git did not end within {FETCH_SECONDS:g} seconds.")
    if _bytes_in(folder) > MAX_FETCHED_BYTES:
        raise UnreadableFileError(
            f"The repository has more than {MAX_FETCHED_BYTES:,} bytes: clone it, and name the"
            " folder."
        )


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # git has renamed or removed it
            total += path.stat().st_size
    return total


def _check_said(command: str, status: int, said: bytes) -> None:
    """Raises UnreadableFileError with what a command said that failed."""
    if status:
        text = " ".join(said.decode("utf-8", "replace").split())[:300]
        raise UnreadableFileError(f"git {command}: {text or 'it failed'}.")


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc or parts.scheme not in ("http", "https"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
