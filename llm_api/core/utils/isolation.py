"""Processes for what strangers bring: what one is started with, and what it may take.

Imported by these processes too, so it imports next to nothing.
"""

import os
import resource
import sys


def isolated_command(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules; no code of the working directory is found."""
    return [sys.executable, "-P", "-X", "utf8", "-m", module, *arguments]


def isolated_environment() -> dict[str, str]:
    """The module path and nothing else of ours: no keys, no tokens."""
    return {"PYTHONPATH": ":".join(filter(None, sys.path))}


def same_environment() -> dict[str, str]:
    """All of ours and the module path, for a process that we trust as ourselves."""
    return {**os.environ, **isolated_environment()}


def limit_memory(most_bytes: int) -> None:
    """Bound the address space of this process, within what it is allowed already."""
    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    most = most_bytes if allowed == resource.RLIM_INFINITY else min(allowed, most_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
