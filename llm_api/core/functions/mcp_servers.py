"""Where MCP servers are: what has to be known to connect to one. Knows nothing of the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Program:
    """Started here, and spoken to over its standard input and output. Arguments may be secret.

    Of this process's environment it sees what the SDK deems safe, such as PATH and HOME, and `env`.
    """

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Runs elsewhere, and is spoken to over streamable HTTP. URL and headers may be secret."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Address: TypeAlias = Program | Endpoint


@dataclass(frozen=True, slots=True)
class MCPServer:
    """One server by the name that people gave it.

    `start_seconds` is how long it may take to connect and to list its tools; `timeout_seconds` is
    for a call, None: as long as the runner allows by default.
    """

    name: str
    address: Address
    start_seconds: float
    timeout_seconds: float | None = None
