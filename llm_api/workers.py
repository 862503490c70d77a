"""Several processes behind one address, for a server whose models run elsewhere."""

from collections.abc import Callable
from socket import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from llm_api.core.errors import UnavailableError
from llm_api.server import listening_sockets

START_SECONDS = 60.0


def serve_workers(
    config: uvicorn.Config, greet: Callable[[str, int], None], second_port: int | None = None
) -> None:
    """Run `config.workers` processes until a signal ends them; one that dies is replaced. Blocks.

    They listen on `second_port` as well. The app of `config` is a factory, called in each of them.
    Calls `greet` with host and port once all answer; raises UnavailableError where one does not
    start. Where an address is taken, uvicorn says so and ends the process.
    """
    addresses = listening_sockets(config, second_port) or [config.bind_socket()]
    try:
        workers = _Workers(config, addresses, greet)
        workers.run()
    finally:
        for address in addresses:
            address.close()
    if not workers.have_started:
        raise UnavailableError("a worker did not start; the log says why")


class _Workers(Multiprocess):
    def __init__(
        self, config: uvicorn.Config, sockets: list[socket], greet: Callable[[str, int], None]
    ) -> None:
        super().__init__(config, sockets)
        self._greet = greet
        self.have_started = False

    def init_processes(self) -> None:
        super().init_processes()
        self.have_started = all(
            process.wait_until_ready(START_SECONDS, self.should_exit) for process in self.processes
        )
        if self.have_started:
            self._greet(*self.sockets[0].getsockname()[:2])
        else:
            self.should_exit.set()
