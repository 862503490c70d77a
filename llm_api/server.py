"""uvicorn with an end in order: SIGTERM is obeyed, not died of. Knows the process, not the API."""

import asyncio
import errno
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from copy import copy
from ipaddress import IPv6Address, ip_address
from socket import AddressFamily, create_server, has_dualstack_ipv6, socket
from types import FrameType
from typing import Final

import uvicorn
from sse_starlette.sse import AppStatus
from uvicorn.config import STARTUP_FAILURE

from llm_api.core.utils.logs import Seldom

log = logging.getLogger(__name__)

OWN_DESCRIPTORS: Final = 1024
"""What a process may need besides its connections: models, stores, logs, uploads."""


def allow_descriptors(connections: int) -> None:
    """Let the process open so many connections, as far as its hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OWN_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if resource.RLIM_INFINITY != soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listening_sockets(
    config: uvicorn.Config, second_port: int | None = None
) -> list[socket] | None:
    """A socket for each port, for both IPv4 and IPv6 where the host is `::`.

    None for one port of another host: uvicorn makes its own. Ends the process as uvicorn does where
    an address is taken.
    """
    if second_port is None and not _has_both_families(config.host):
        return None
    first = _listening(config, config.port)
    if second_port is None:
        return [first]
    try:
        return [first, _listening(config, second_port)]
    except BaseException:
        first.close()
        raise


def _listening(config: uvicorn.Config, port: int) -> socket:
    if not _has_both_families(config.host):
        one_port = copy(config)
        one_port.port = port
        return one_port.bind_socket()
    try:
        listening = create_server(
            (config.host, port),
            family=AddressFamily.AF_INET6,
            dualstack_ipv6=True,
            backlog=config.backlog,
        )
    except OSError as error:
        log.error("%s", error)
        sys.exit(STARTUP_FAILURE)
    listening.set_inheritable(True)
    return listening


def _has_both_families(host: str) -> bool:
    return is_every_address(host) and has_dualstack_ipv6()


def is_every_address(host: str) -> bool:
    """Whether it is IPv6's way to say every address. Pure."""
    try:
        return ip_address(host) == IPv6Address("::")
    except ValueError:
        return False


async def watch_descriptors(seconds: float = 1.0) -> None:
    """Log when no descriptor is left, at most once a minute. Runs until it is cancelled.

    The event loop is silent about it: it closes what it accepts, until there is one again.
    """
    tells = Seldom(60)
    while True:
        await asyncio.sleep(seconds)
        if not _has_descriptor() and tells.is_due():
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.error(
                "no file descriptor is left of %d: connections are closed unanswered until one is;"
                " raise the limit (ulimit -n), or lower MAX_CONNECTIONS",
                limit,
            )


def _has_descriptor() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    return True


def let_streams_finish() -> None:
    """Keep sse-starlette from ending every stream half a second after the signal to end."""
    AppStatus.enable_automatic_graceful_drain = False


class Server(uvicorn.Server):
    """Between the signal to end and the end it goes on listening, and waits for `drain`.

    That is given `drain_seconds`, or none at the second SIGINT. SIGTERM makes the process exit 0.
    `listens` is set once the address is known: an application may be ready before.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Callable[[float], Awaitable[None]],
        drain_seconds: float,
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._drain_seconds = drain_seconds
        self.listens = asyncio.Event()
        let_streams_finish()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal. What uvicorn remembers of it, it raises again at the end."""
        if sig == signal.SIGTERM:
            self.should_exit = True
        else:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Drain, then close the connections and the application."""
        draining = asyncio.ensure_future(self._drain(self._drain_seconds))
        while not (draining.done() or self.force_exit):
            await asyncio.wait((draining,), timeout=0.1)
        if self.force_exit:
            await self._drain(0)
        await draining
        await super().shutdown(sockets)
