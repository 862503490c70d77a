from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from llm_api.core.utils.machine import (
    busy_cores,
    cpu_flags,
    cpu_quota,
    format_bytes,
    gpu_vendors,
    memory,
)


def system(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2\n\nflags : other\n", {"fpu", "avx2"}),
        ("Features\t: fp asimd\n", {"fp", "asimd"}),
        ("model name : x\n", None),
    ],
)
def test_flags_are_those_of_the_first_cpu(
    tmp_path: Path, text: str, flags: set[str] | None
) -> None:
    assert cpu_flags(system(tmp_path, {"proc/cpuinfo": text})) == flags


def test_a_system_that_tells_nothing_limits_nothing(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path) is None
    assert cpu_quota(tmp_path) is None
    assert gpu_vendors(tmp_path) == set()
    total, available = memory(tmp_path)
    assert 0 < available <= total


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "200000 100000\n",
            },
            0.5,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/a\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
    ],
)
def test_the_tightest_cpu_quota_counts(
    tmp_path: Path, files: Mapping[str, str], quota: float | None
) -> None:
    assert cpu_quota(system(tmp_path, files)) == quota


def test_a_container_has_the_memory_of_its_limit(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "400\n"}
    assert memory(system(tmp_path, files)) == (1000, 600)


def test_the_busy_cores_are_some_of_those_there_are() -> None:
    assert 0 <= busy_cores(0.01) <= (psutil.cpu_count() or 0)


def test_a_gpu_is_known_by_its_driver(tmp_path: Path) -> None:
    assert gpu_vendors(system(tmp_path, {"proc/driver/nvidia/version": "x"})) == {"NVIDIA"}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (98_362_432, "98 MB"),
        (999_999, "1.0 MB"),
        (4_080_000_000, "4.1 GB"),
        (51 * 10**9, "51 GB"),
        (7 * 10**15, "7000 TB"),
    ],
)
def test_a_size_is_short_and_rounded(count: int, text: str) -> None:
    assert format_bytes(count) == text
