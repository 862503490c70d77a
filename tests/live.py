"""A real uvicorn on a free port of this machine, for what in-process transports hide."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from llm_api.api.draining import draining_of
from llm_api.api.http.bounded_head import BoundedHeadProtocol
from llm_api.server import Server

STARTUP_SECONDS = 60
PATIENCE_SECONDS = 30.0
"""How long a test waits for what comes at once on a machine that does nothing else."""


@contextmanager
def live_server(app: FastAPI) -> Iterator[str]:
    """Serve `app` in a thread of its own, lifespan included. Yields the base URL."""
    with stoppable_server(app) as (url, _):
        yield url


@contextmanager
def stoppable_server(app: FastAPI, drain_seconds: float = 0) -> Iterator[tuple[str, Server]]:
    """The same with the server, whose `should_exit` is what a signal sets."""
    config = uvicorn.Config(
        app,
        http=BoundedHeadProtocol,
        ws="none",
        host="127.0.0.1",
        port=0,
        log_config=None,
        timeout_graceful_shutdown=2,
    )
    # Stand-ins of other servers know nothing of draining.
    drain = draining_of(app).drain if hasattr(app.state, "draining") else _end_at_once
    server = _QuickServer(config, drain, drain_seconds)
    thread = threading.Thread(target=server.run, name="live-server")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), STARTUP_SECONDS)
        if not server.started:
            raise RuntimeError("the server did not start")
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}", server
    finally:
        server.should_exit = True
        thread.join()


class _QuickServer(Server):
    """Looks ten times as often whether to end: hundreds of tests wait for it."""

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864000
            await asyncio.sleep(0.01)


async def _end_at_once(_seconds: float) -> None:
    """Nothing to wait for."""


def wait_until(is_true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for a claim to become true; the seconds that took. Raises AssertionError if not."""
    began = time.monotonic()
    while not is_true():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not true within {seconds} seconds")
        time.sleep(0.005)
    return time.monotonic() - began
