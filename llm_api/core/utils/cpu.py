"""How many threads can compute at the same time here."""

import os

import psutil


def physical_cores() -> int:
    """Physical cores this process may run on, at least 1.

    Hyper-threads share one core's arithmetic units: one thread for each core is fastest.
    """
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed))
