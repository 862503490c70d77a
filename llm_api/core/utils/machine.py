"""What the machine has, and what a container leaves of it: CPU flags, cores, quota, memory, GPUs.

Linux tells all of it; elsewhere what is not known is None or empty. Only reads.
"""

import math
import os
from pathlib import Path

import psutil

_ROOT = Path("/")


def cpu_flags(root: Path = _ROOT) -> frozenset[str] | None:
    """The instruction sets the CPU offers, in the kernel's words; None where it does not say."""
    for line in _lines(root / "proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):  # x86, ARM
            return frozenset(value.split())
    return None


def cpu_quota(root: Path = _ROOT) -> float | None:
    """CPUs' worth of time this process's cgroups may use; None without a limit."""
    quotas = []
    for folder in _cgroups(root, "cpu"):
        quota, _, period = " ".join(_lines(folder / "cpu.max")).partition(" ")  # version 2
        if not quota:  # version 1, where -1 is no limit
            quota = " ".join(_lines(folder / "cpu.cfs_quota_us"))
            period = " ".join(_lines(folder / "cpu.cfs_period_us"))
        if quota.isdecimal() and period.isdecimal() and int(period):
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def physical_cores() -> int:
    """Physical cores this process may run on, within its container's quota; at least 1.

    Hyper-threads share one core's arithmetic units: one thread for each core is fastest.
    """
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    quota = math.ceil(cpu_quota() or physical)
    return max(1, min(physical, allowed, quota))


def busy_cores(seconds: float = 0.2) -> float:
    """Cores that programs hold on average while this one sleeps for `seconds`."""
    percent = psutil.cpu_percent(interval=seconds)
    return percent / 100 * (psutil.cpu_count() or 1)


def memory(root: Path = _ROOT) -> tuple[int, int]:
    """Bytes of memory in total and available, within what the cgroups allow."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    for folder in _cgroups(root, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            # Version 1 writes "no limit" as a number larger than any machine.
            if limit is not None and limit < machine.total:
                total = min(total, limit)
                available = min(available, max(0, limit - (used or 0)))
    return total, available


def gpu_vendors(root: Path = _ROOT) -> frozenset[str]:
    """Vendors of the GPUs whose drivers are loaded: of NVIDIA, AMD and Apple."""
    signs = {
        "NVIDIA": root / "proc/driver/nvidia/version",
        "AMD": root / "dev/kfd",
        "Apple": root / "System/Library/Frameworks/Metal.framework",
    }
    return frozenset(vendor for vendor, sign in signs.items() if sign.exists())


def format_bytes(count: int) -> str:
    """Decimal units with two or three digits: `98 MB`, `4.1 GB`. Pure."""
    if count < 1000:
        return f"{count} bytes"
    value, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def _cgroups(root: Path, controller: str) -> list[Path]:
    """The folders that may limit this process, from its own up to the root."""
    base = root / "sys/fs/cgroup"
    folders = [base, base / controller]
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names == "" or controller in names.split(","):
            own = (base / controller if names else base) / path.lstrip("/")
            folders += [own, *(parent for parent in own.parents if parent.is_relative_to(base))]
    return folders


def _number(path: Path) -> int | None:
    try:
        return int(" ".join(_lines(path)))
    except ValueError:
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
