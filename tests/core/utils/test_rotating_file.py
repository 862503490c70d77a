import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_api.core.utils.rotating_file import RotatingFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "log.jsonl"


@pytest.fixture
def file(path: Path) -> Iterator[RotatingFile]:
    file = RotatingFile(path, max_bytes=10, backups=2)
    yield file
    file.close()


def contents(path: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in sorted(path.parent.iterdir())}


def test_folder_and_file_are_made_by_the_first_line(file: RotatingFile, path: Path) -> None:
    assert not path.parent.exists()
    file.append(b"a\n")
    file.append(b"b\n")
    assert contents(path) == {"log.jsonl": "a\nb\n"}


def test_a_line_that_does_not_fit_begins_a_new_file(file: RotatingFile, path: Path) -> None:
    for name in "abcdefgh":
        file.append(f"{name * 4}\n".encode())
    assert contents(path) == {
        "log.jsonl": "gggg\nhhhh\n",
        "log.jsonl.1": "eeee\nffff\n",
        "log.jsonl.2": "cccc\ndddd\n",
    }


def test_a_line_larger_than_any_file_has_one_of_its_own(file: RotatingFile, path: Path) -> None:
    file.append(b"x" * 30)
    file.append(b"a")
    assert contents(path) == {"log.jsonl": "a", "log.jsonl.1": "x" * 30}


def test_without_backups_the_old_lines_are_gone(path: Path) -> None:
    file = RotatingFile(path, max_bytes=10, backups=0)
    file.append(b"old lines\n")
    file.append(b"new\n")
    file.close()
    assert contents(path) == {"log.jsonl": "new\n"}


def test_a_file_that_somebody_moved_away_is_begun_anew(file: RotatingFile, path: Path) -> None:
    file.append(b"a\n")
    path.rename(path.with_name("moved"))
    file.append(b"b\n")
    assert contents(path) == {"log.jsonl": "b\n", "moved": "a\n"}


def test_a_folder_that_somebody_deleted_is_made_again(file: RotatingFile, path: Path) -> None:
    file.append(b"a\n")
    path.unlink()
    path.parent.rmdir()
    file.append(b"b\n")
    assert contents(path) == {"log.jsonl": "b\n"}


def test_a_symbolic_link_is_written_through_and_never_renamed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    file = RotatingFile(link, max_bytes=1, backups=1)
    file.append(b"a\n")
    file.append(b"b\n")
    file.close()
    assert link.is_symlink()
    assert (tmp_path / "target").read_text() == "a\nb\n"


def test_the_null_device_takes_everything() -> None:
    file = RotatingFile(Path(os.devnull), max_bytes=1, backups=1)
    file.append(b"a\n")
    file.append(b"b\n")
    file.close()
    assert Path(os.devnull).is_char_device()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told() -> None:
    full = RotatingFile(Path("/dev/full"), max_bytes=1, backups=1)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left on device"):
            full.append(b"line\n")
    full.close()


def test_what_does_not_fit_on_the_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: it cuts a write in its middle."""
    path = tmp_path / "log"
    file = RotatingFile(path, max_bytes=1000, backups=1)
    file.append(b"whole\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            file.append(b"half a line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "whole\n"
    file.append(b"again\n")
    file.close()
    assert path.read_text() == "whole\nagain\n"


WRITER = """
import sys
from pathlib import Path
from llm_api.core.utils.rotating_file import RotatingFile

file = RotatingFile(Path(sys.argv[1]), max_bytes=200, backups=99)
for number in range(500):
    file.append(f"{sys.argv[2]} {number}\\n".encode())
"""


def test_two_processes_lose_no_line_to_each_other_s_rotation(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", WRITER, str(tmp_path / "log"), name] for name in "ab"]
    writers = [subprocess.Popen(command) for command in commands]  # noqa: S603 - ourselves
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    files = list(tmp_path.iterdir())
    assert len(files) > 3
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {number}" for name in "ab" for number in range(500))
