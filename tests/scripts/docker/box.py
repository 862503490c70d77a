"""A process that may write to one folder only, and is nobody: what a container engine would do.

By Linux's own means: a mount namespace, and another user. Only root may make one; a test that
needs it is skipped elsewhere, and says why.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.scripts.docker.container import ROOT

NOBODY = 65534
_PROGRAMS = ("unshare", "mount", "setpriv")

# $1: what stays writable; $2: the interpreter's folder; $3: the private folder it lies in, if any.
_SCRIPT = f"""
set -eu
mount --bind / /
cd /
mount --bind "$1" "$1"
if [ -n "$3" ]; then
    # Root's own Python, which nobody else may reach, appears in a folder that others may enter.
    mount --bind "$2" /mnt
    mount -t tmpfs -o mode=755 tmpfs "$3"
    mkdir -p "$2"
    mount --bind /mnt "$2"
    mount -o remount,bind,ro "$2"
    mount -o remount,ro "$3"
fi
mount -o remount,bind,ro /
cd "$1"
shift 3
exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups "$@"
"""


def boxed(folder: Path) -> Callable[[Sequence[str]], list[str]]:
    """Makes a command one that is nobody's and may write to `folder` alone."""
    python = Path(sys.base_prefix)
    private = next((str(one) for one in reversed(python.parents) if not _is_open(one)), "")
    box = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, "box"]
    return lambda command: [*box, str(folder), str(python), private, *command]


@contextmanager
def volume() -> Iterator[Path]:
    """A folder of nobody's, where nobody can reach it."""
    with tempfile.TemporaryDirectory(prefix="volume-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


def why_no_box() -> str:
    """Why a process cannot be boxed here; "" where it can."""
    if os.geteuid() != 0:
        return "only root may mount, and become another user"
    if absent := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(absent)}: not installed"
    with volume() as folder:
        attempt = [sys.executable, "-c", f"open({str(ROOT / 'pyproject.toml')!r}).close()"]
        done = subprocess.run(  # noqa: S603 - as written above
            boxed(folder)(attempt), capture_output=True, text=True, check=False
        )
    return f"not possible here: {done.stderr.strip()}" if done.returncode else ""


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o001)
