"""How many threads can compute at the same time here."""

import math
import os

import psutil

from llm_api.core.utils.machine import cpu_quota


def physical_cores() -> int:
    """Physical cores this process may run on, within its container's quota; at least 1.

    Hyper-threads share one core's arithmetic units: one thread for each core is fastest.
    """
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    quota = math.ceil(cpu_quota() or physical)
    return max(1, min(physical, allowed, quota))
