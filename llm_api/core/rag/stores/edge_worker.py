"""The process that holds the embedded store. It serves calls until its standard input ends.

The engine's Python binding holds the interpreter while it works: 0.15 seconds for a flush. In the
server's process every stream would stand still that long. While calls wait, a thread tells the
server that this process is alive: one that is silent is taken to be dead, and is.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_api.core.errors import LLMAPIError, VectorStoreError
from llm_api.core.rag.stores.calls import Beat, Call, Reply, encode, read
from llm_api.core.rag.stores.document_store import DocumentStore
from llm_api.core.rag.stores.edge import open_edge
from llm_api.core.utils.logs import configure_logs

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.25
"""How often a process that has something to do says that it is alive."""


class ReplyWriter:
    """The way back to the server, which the event loop and the heart share."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sending = threading.Lock()
        self._is_busy = threading.Event()
        self._open_calls = 0
        self.begin_call()  # that to open the store
        threading.Thread(target=self._beat, name="heart", daemon=True).start()

    def begin_call(self) -> None:
        """Beat until this call, too, has its answer."""
        self._open_calls += 1
        self._is_busy.set()

    def end_call(self, answer: Reply) -> None:
        self._open_calls -= 1
        if not self._open_calls:
            self._is_busy.clear()
        self._send(answer)

    def _beat(self) -> None:
        while self._is_busy.wait():
            self._send(Beat())
            time.sleep(BEAT_SECONDS)

    def _send(self, message: Reply | Beat) -> None:
        """Blocks until the other end has read it; is silent if there is none any more."""
        data = memoryview(encode(message))
        with self._sending, suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._descriptor, data) :]


@asynccontextmanager
async def open_store(folder: Path | None) -> AsyncGenerator[DocumentStore, None]:
    """The store in a folder; without one, in a folder that goes when it closes."""
    if folder is None:
        with TemporaryDirectory(prefix="llm-api-") as name:
            async with open_edge(Path(name), is_durable=False) as engine:
                yield DocumentStore(engine)
        return
    async with open_edge(folder, is_durable=True) as engine:
        store = DocumentStore(engine)
        await store.recover(older_than_seconds=0)
        yield store


async def serve(folder: Path | None, answers: ReplyWriter) -> None:
    """Answer the calls on standard input."""
    reader = await _standard_input()
    try:
        async with open_store(folder) as store, asyncio.TaskGroup() as tasks:
            answers.end_call(Reply(0))
            while isinstance(call := await read(reader), Call):
                answers.begin_call()
                tasks.create_task(_serve_call(store, call, answers))
    except LLMAPIError as error:
        answers.end_call(Reply(0, error=error))


async def _serve_call(store: DocumentStore, call: Call, answers: ReplyWriter) -> None:
    try:
        value = await getattr(store, call.method)(*call.arguments)
    except LLMAPIError as error:
        answers.end_call(Reply(call.number, error=error))
    except Exception:
        log.exception("%s failed", call.method)
        failure = VectorStoreError("The vector store failed on this; the log says why.")
        answers.end_call(Reply(call.number, error=failure))
    else:
        answers.end_call(Reply(call.number, value))


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    return reader


def main(folder: str) -> None:
    """Serve the store in `folder`, or one in memory if that is empty."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when this ends
        signal.signal(number, signal.SIG_IGN)
    configure_logs("INFO")
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints, does not answer
    asyncio.run(serve(Path(folder) if folder else None, ReplyWriter(answers)))


if __name__ == "__main__":
    main(sys.argv[1])
